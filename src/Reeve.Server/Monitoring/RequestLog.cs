using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Reeve.Server.Storage;

namespace Reeve.Server.Monitoring;

/// <summary>
/// Keeps the records of requests. They wait in memory and are written once a second and at the end, so a request pays
/// for none of it and a crash forgets the last second. When they come faster than they are written, the newest are left
/// out.
/// </summary>
[SuppressMessage("Usage", "CA2213", Justification = "The semaphore has no wait handle.")]
internal sealed partial class RequestLog(
    Database database, ReeveOptions options, TimeProvider time, ILogger<RequestLog> logger) : BackgroundService
{
    private const int QueuedMax = 50_000;
    private const int WrittenAtOnce = 250;
    private const int ForgottenAtOnce = 500;

    /// <summary>Records of one account that are kept, however young the others are.</summary>
    private const int PerAccountMax = 100_000;

    private static readonly TimeSpan WriteInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SweepInterval = TimeSpan.FromHours(1);

    private readonly Channel<RequestRecord> _queue = Channel.CreateBounded<RequestRecord>(
        new BoundedChannelOptions(QueuedMax) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly SemaphoreSlim _writing = new(1);
    private DateTimeOffset _sweptAt;
    private int _writtenSince;

    internal bool IsOn => options.Limits.RequestLogDays > 0;

    internal void Add(RequestRecord record) => _queue.Writer.TryWrite(record);

    /// <summary>Writes all that was added before; whoever reads the log calls it first.</summary>
    internal async Task FlushAsync()
    {
        await _writing.WaitAsync();
        try
        {
            for (var left = _queue.Reader.Count; left > 0; left -= WrittenAtOnce)
            {
                var records = new List<RequestRecord>(WrittenAtOnce);
                while (records.Count < WrittenAtOnce && _queue.Reader.TryRead(out var record))
                {
                    records.Add(record);
                }

                await database.WriteAsync(session => RequestLogStore.Insert(session, records));
                _writtenSince += records.Count;
            }
        }
        catch (StorageException error)
        {
            LogNotWritten(error);
        }
        finally
        {
            _writing.Release();
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await FlushAsync();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(WriteInterval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                if (!database.IsSlow)
                {
                    await FlushAsync();
                    await SweepAsync(time.GetUtcNow());
                }
            }
        }
        catch (OperationCanceledException)
        {
            // StopAsync writes the rest.
        }
    }

    /// <summary>Forgets what is too old or too much, a share at a time so that nobody waits for the writer.</summary>
    private async Task SweepAsync(DateTimeOffset now)
    {
        // A client that asks as fast as it can must not fill the disk within the hour.
        if (now - _sweptAt < SweepInterval && _writtenSince < PerAccountMax)
        {
            return;
        }

        (_sweptAt, _writtenSince) = (now, 0);
        var oldest = Id.First(Id.Request, now.AddDays(-options.Limits.RequestLogDays));
        try
        {
            foreach (var tenant in database.Read(RequestLogStore.Accounts))
            {
                var bound = database.Read(session => RequestLogStore.Nth(session, tenant, PerAccountMax));
                var before = string.CompareOrdinal(bound, oldest) > 0 ? bound! : oldest;
                while (await database.WriteAsync(session =>
                    RequestLogStore.Forget(session, tenant, before, ForgottenAtOnce) == ForgottenAtOnce))
                {
                    // There may be more.
                }
            }
        }
        catch (StorageException error)
        {
            LogNotWritten(error);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The records of requests could not be written down.")]
    private partial void LogNotWritten(Exception error);
}
