using Reeve.Server.Storage;

namespace Reeve.Server.Conversations;

/// <summary>
/// Erases what runs outside of any conversation said, some days after they were started: nobody else would. Looks once
/// an hour, and at the start.
/// </summary>
internal sealed partial class ChatRetention(
    Database database, ReeveOptions options, TimeProvider time, ILogger<ChatRetention> logger) : BackgroundService
{
    /// <summary>Each may have brought images, and nobody is to wait long for the writer.</summary>
    private const int ErasedAtOnce = 20;

    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    /// <summary>Ids sort by time; up to here nothing is left to erase.</summary>
    private string _doneTo = "";

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            try
            {
                await SweepAsync(stoppingToken);
            }
            catch (StorageException error)
            {
                LogNotErased(error);
            }
        }
        while (await WaitAsync(timer, stoppingToken));
    }

    private static async Task<bool> WaitAsync(PeriodicTimer timer, CancellationToken stoppingToken)
    {
        try
        {
            return await timer.WaitForNextTickAsync(stoppingToken);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task SweepAsync(CancellationToken stoppingToken)
    {
        var before = Id.First(Id.Run, time.GetUtcNow().AddDays(-options.Limits.ChatDays));
        var (after, anyOpen) = (_doneTo, false);
        List<Candidate> found;
        do
        {
            found = database.Read(session => Find(session, after, before));
            var ended = found.Where(static one => !one.IsOpen).ToList();
            if (ended.Count > 0)
            {
                var at = time.GetUtcNow();
                await database.WriteAsync(session =>
                {
                    foreach (var run in ended)
                    {
                        Erasure.EraseRun(session, run.Tenant, run.Id, at);
                    }
                });
            }

            anyOpen |= ended.Count < found.Count; // It is looked at again the next time.
            after = found.Count > 0 ? found[^1].Id : after;
        }
        while (found.Count == ErasedAtOnce && !stoppingToken.IsCancellationRequested);

        if (!anyOpen && !stoppingToken.IsCancellationRequested && string.CompareOrdinal(before, _doneTo) > 0)
        {
            _doneTo = before;
        }
    }

    private static List<Candidate> Find(DbSession session, string after, string before) => session.List(
        "SELECT id, account_id, finished_at IS NULL FROM runs WHERE id > $1 AND id < $2 AND conversation_id IS NULL "
        + "AND erased_at IS NULL ORDER BY id LIMIT $3",
        static row => new Candidate(row.GetString(0), new TenantContext(row.GetString(1)), row.GetInt64(2) == 1),
        after, before, ErasedAtOnce);

    private sealed record Candidate(string Id, TenantContext Tenant, bool IsOpen);

    [LoggerMessage(Level = LogLevel.Error, Message = "Old chats could not be erased; it is tried again in an hour.")]
    private partial void LogNotErased(Exception error);
}
