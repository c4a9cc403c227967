using System.Collections.Concurrent;
using System.Threading.Channels;
using Reeve.Server.Audit;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Storage;

namespace Reeve.Server.Receipts.Checkpoints;

/// <summary>
/// Signs how the chains of the audit stand: at the start, every 5 minutes, after every 1,000 entries of an account, and
/// at the stop. Only what continues the checkpoint before is signed.
/// </summary>
internal sealed partial class AuditCheckpoints(
    Database database, KeyRing keys, TimeProvider time, ILogger<AuditCheckpoints> logger) : IHostedService, IDisposable
{
    internal const int EntriesMax = 1_000;
    internal static readonly TimeSpan Interval = TimeSpan.FromMinutes(5);

    private readonly ConcurrentDictionary<string, long> _signed = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Channel<bool> _wanted = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private PeriodicTimer? _timer;
    private Task _loop = Task.CompletedTask;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await TrySignAsync();
        _timer = new PeriodicTimer(Interval, time);
        _loop = LoopAsync(_timer, _stopping.Token);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _loop;
        await TrySignAsync();
    }

    public void Dispose()
    {
        _timer?.Dispose();
        _stopping.Dispose();
    }

    /// <summary>
    /// An account has that many entries; called in the transaction that adds one, so it only takes note.
    /// </summary>
    internal void Note(string accountId, long seq)
    {
        if (seq - _signed.GetOrAdd(accountId, seq - 1) >= EntriesMax)
        {
            _wanted.Writer.TryWrite(true);
        }
    }

    /// <summary>Signs each chain that has grown since its newest checkpoint.</summary>
    internal async Task SignAsync()
    {
        foreach (var accountId in database.Read(AuditLog.Accounts))
        {
            var (head, isNew) = database.Read(session => Continued(session, accountId, keys.Verifier));
            if (head is null)
            {
                LogBroken(accountId);
                continue;
            }

            if (isNew)
            {
                var checkpoint = Checkpoint.Sign(keys.Signer, accountId, head, time.GetUtcNow());
                await database.WriteAsync(session => CheckpointStore.Insert(session, checkpoint));
            }

            _signed[accountId] = head.Seq;
        }
    }

    /// <summary>
    /// How a chain stands and whether that is more than its newest checkpoint says; null: it does not follow from it.
    /// </summary>
    internal static (AuditHead? Head, bool IsNew) Continued(
        DbSession session, string accountId, ReceiptVerifier signatures)
    {
        var head = new AuditHead(0, AuditEntry.ChainStart);
        if (CheckpointStore.Newest(session, accountId) is { } newest)
        {
            if (Checkpoint.Read(newest) is not { } checkpoint || checkpoint.Problem(signatures) is not null)
            {
                return (null, false);
            }

            head = new AuditHead(checkpoint.Seq, Convert.FromHexString(checkpoint.Head));
        }

        var begun = head.Seq;
        List<(AuditEntry Entry, byte[] Hash)> page;
        do
        {
            page = AuditLog.Read(session, accountId, head.Seq);
            foreach (var (entry, hash) in page)
            {
                head = new AuditHead(head.Seq + 1, entry.Hash(head.Hash));
                if (entry.Seq != head.Seq || !hash.AsSpan().SequenceEqual(head.Hash))
                {
                    return (null, false);
                }
            }
        }
        while (page.Count == AuditLog.PageEntries);

        return AuditLog.Head(session, accountId)?.Seq == head.Seq ? (head, head.Seq > begun) : (null, false);
    }

    private async Task LoopAsync(PeriodicTimer timer, CancellationToken stop)
    {
        try
        {
            var tick = timer.WaitForNextTickAsync(stop).AsTask();
            var wanted = _wanted.Reader.ReadAsync(stop).AsTask();
            while (true)
            {
                var first = await Task.WhenAny(tick, wanted);
                await first;
                if (first == tick && !await tick)
                {
                    return; // The timer is gone: a start that failed is being undone, and nobody called StopAsync.
                }

                await TrySignAsync();
                if (first == tick)
                {
                    tick = timer.WaitForNextTickAsync(stop).AsTask();
                }
                else
                {
                    wanted = _wanted.Reader.ReadAsync(stop).AsTask();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // StopAsync signs the rest.
        }
    }

    private async Task TrySignAsync()
    {
        try
        {
            await SignAsync();
        }
        catch (StorageException error)
        {
            LogNotSigned(error); // The next time signs it too.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The audit could not be signed for now.")]
    private partial void LogNotSigned(Exception error);

    [LoggerMessage(Level = LogLevel.Error, Message = "The audit of {AccountId} does not follow from its last "
        + "checkpoint, so it is not signed; `reeve verify` says more.")]
    private partial void LogBroken(string accountId);
}
