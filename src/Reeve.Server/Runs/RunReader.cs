using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// Reads runs: one folded from its log, lists from the copies in their rows, and feeds that follow a run.
/// </summary>
internal sealed class RunReader(Database database, RunLog log, CreditOptions credits)
{
    /// <summary>Follows a run from its first event; null when it is not this account's.</summary>
    internal RunFeed? Open(TenantContext tenant, string runId)
    {
        // The open run first: when it ends in between, its feed still has everything.
        var live = log.Find(tenant, runId);
        return live is not null || database.Read(session => RunStore.Find(session, tenant, runId)) is not null
            ? new RunFeed(log, tenant, runId, live)
            : null;
    }

    /// <summary>The run as its log stands now.</summary>
    internal RunView? View(TenantContext tenant, string runId)
    {
        if (database.Read(session => RunStore.Find(session, tenant, runId)) is not { } run)
        {
            return null;
        }

        return RunView.Of(Fold(run.Head), run.Head);
    }

    internal Page<RunView> List(TenantContext tenant, RunFilter filter)
    {
        var rows = database.Read(session => RunStore.List(session, tenant, filter with { Limit = filter.Limit + 1 }));
        return Page<RunView>.Of(
            [.. rows.Select(row => row.Ended ?? RunView.Of(Fold(row.Run.Head), row.Run.Head))],
            filter.Limit, view => view.RunId);
    }

    /// <summary>The tool calls of a run with their results.</summary>
    internal IReadOnlyList<RunToolCall> ToolCalls(TenantContext tenant, string runId) =>
        database.Read(session => RunStore.Find(session, tenant, runId)) is { } run ? Fold(run.Head).ToolCalls : [];

    private RunState Fold(RunHead head)
    {
        var state = new RunState(head.RunId, credits);
        var feed = new RunFeed(log, head.Tenant, head.RunId, log.Find(head.Tenant, head.RunId));
        for (var events = feed.Next(); events.Count > 0; events = feed.Next())
        {
            foreach (var entry in events)
            {
                state.Apply(entry);
            }
        }

        return state;
    }
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

    internal string RunId => runId;

    internal LiveRun? Live => live;

    /// <summary>True once the terminal event was given out.</summary>
    internal bool IsEnded { get; private set; }

    /// <summary>The committed events after the last ones given; empty when there are none yet.</summary>
    internal IReadOnlyList<RunEvent> Next()
    {
        var events = new List<RunEvent>();
        if (live is null || !live.TryRead(_seq, events))
        {
            events = log.Read(tenant, runId, _seq);
        }

        if (events.Count > 0)
        {
            _seq = events[^1].Seq;
            IsEnded = events[^1].IsTerminal;
        }

        return events;
    }

    /// <summary>
    /// Completes when <see cref="Next"/> has more. An ended run has no more; its feed must not be waited on.
    /// </summary>
    internal async Task WaitAsync() => await (live?.ChangedAsync(_seq) ?? Never);
}
