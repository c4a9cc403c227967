using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// Reads runs: one folded from its log, lists from the copies in their rows, and feeds that follow a run.
/// </summary>
internal sealed partial class RunReader(
    Database database, RunLog log, CreditOptions credits, ILogger<RunReader> logger)
{
    /// <summary>Follows a run from its first event; null when it is not this account's.</summary>
    internal RunFeed? Open(TenantContext tenant, string runId)
    {
        // The open run first: when it ends in between, its feed still has everything.
        var live = log.Find(tenant, runId);
        var run = live is null ? database.Read(session => RunStore.Find(session, tenant, runId)) : null;
        return live is not null || run is not null
            ? new RunFeed(log, tenant, runId, live) { MustEnd = HasEnded(run) }
            : null;
    }

    /// <summary>The run as its log stands now.</summary>
    internal RunView? View(TenantContext tenant, string runId)
    {
        if (database.Read(session => RunStore.Find(session, tenant, runId)) is not { } run)
        {
            return null;
        }

        return RunView.Of(Fold(run), run.Head);
    }

    /// <summary>A page of runs. One that is damaged is listed without its content, with an error.</summary>
    internal Page<RunView> List(TenantContext tenant, RunFilter filter)
    {
        while (true)
        {
            var rows = database.Read(
                session => RunStore.List(session, tenant, filter with { Limit = filter.Limit + 1 }));
            try
            {
                return Page<RunView>.Of(
                    [.. rows.Select(row => row.Ended ?? FoldRow(row))],
                    filter.Limit, view => view.RunId);
            }
            catch (ApiException error) when (error.Code == ApiErrorCodes.NotFound)
            {
                // One was erased meanwhile; the next look does not find it.
            }
        }
    }

    /// <summary>The tool calls of a run with their results.</summary>
    internal IReadOnlyList<RunToolCall> ToolCalls(TenantContext tenant, string runId) =>
        database.Read(session => RunStore.Find(session, tenant, runId)) is { } run ? Fold(run).ToolCalls : [];

    // Row and terminal event are of one transaction, so a log that is read after such a row must have the event.
    private static bool HasEnded(OpenRun? run) => run is not null && RunStatuses.IsTerminal(run.Status);

    private RunView FoldRow(RunRow row)
    {
        try
        {
            return RunView.Of(Fold(row.Run), row.Run.Head);
        }
        catch (StorageException error) when (error.Fault == StorageFault.Damaged)
        {
            LogDamaged(error, row.Run.Head.RunId);
            return row.Bare;
        }
    }

    private RunState Fold(OpenRun run)
    {
        var head = run.Head;
        var state = new RunState(head.RunId, credits);
        var feed = new RunFeed(log, head.Tenant, head.RunId, log.Find(head.Tenant, head.RunId))
        {
            MustEnd = HasEnded(run),
        };
        for (var events = feed.Next(); events.Count > 0; events = feed.Next())
        {
            foreach (var entry in events)
            {
                state.Apply(entry);
            }
        }

        return state;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{RunId} is damaged and listed without its content.")]
    private partial void LogDamaged(StorageException error, string runId);
}

/// <summary>
/// A reader's place in a run's log. It holds a cursor and no queue: a slow reader lags and costs the run nothing. What
/// the open run has in memory comes from there, everything else in pages from the database.
/// </summary>
internal sealed class RunFeed(RunLog log, TenantContext tenant, string runId, LiveRun? live)
{
    // An open run that nobody owns here: its reader looks again at each heartbeat.
    private static readonly Task Never = new TaskCompletionSource().Task;

    private long _seq;
    private byte[] _hash = RunEventCodec.ChainStart;

    internal string RunId => runId;

    internal LiveRun? Live => live;

    /// <summary>True when the log must hold a terminal event already.</summary>
    internal bool MustEnd { get; init; }

    /// <summary>True once the terminal event was given out.</summary>
    internal bool IsEnded { get; private set; }

    /// <summary>The committed events after the last ones given; empty when there are none yet.</summary>
    /// <exception cref="ApiException">404: its content was erased since it was found.</exception>
    /// <exception cref="StorageException">The log is damaged, or lacks its end, which would never come.</exception>
    internal IReadOnlyList<RunEvent> Next()
    {
        var events = new List<RunEvent>();
        if (live is null || !live.TryRead(_seq, events) || (events.Count == 0 && MustEnd && !IsEnded))
        {
            // Not in memory, or an end that is durable and whose news is on its way.
            events = log.Read(tenant, runId, _seq, _hash);
        }

        if (events.Count > 0)
        {
            (_seq, _hash) = (events[^1].Seq, events[^1].Hash);
            IsEnded = events[^1].IsTerminal;
        }
        else if (MustEnd && !IsEnded)
        {
            throw RunLog.Damaged(runId);
        }

        return events;
    }

    /// <summary>
    /// Completes when <see cref="Next"/> has more. An ended run has no more; its feed must not be waited on.
    /// </summary>
    internal async Task WaitAsync() => await (live?.ChangedAsync(_seq) ?? Never);
}
