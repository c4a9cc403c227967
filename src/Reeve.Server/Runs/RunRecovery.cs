using Reeve.Server.Credits;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// Takes runs over whose owner is gone: after a crash at start, and inside the process when a loop failed.
/// </summary>
/// <remarks>
/// <code>
/// claim   epoch + 1: whatever the owner before still writes is refused
/// fold    the log says where the run stands
/// mend    an interrupted model call (and its hedge) ends as interrupted, its cost the operator's; text is dropped by
///         output.reset, and what finished steps said is said again. A tool call with an intent and no result
///         is left to the loop, which makes it again when the tool allows that
/// end     cancelled when somebody had asked for it; failed (poisoned) after the third attempt in a row that
///         got no tool's answer
/// </code>
/// </remarks>
internal sealed partial class RunRecovery(
    Database database, RunLog log, RunEnding ending, CreditOptions credits, PayerBudgets budgets,
    Failpoints failpoints, ILogger<RunRecovery> logger)
{
    internal const int AttemptsMax = 3;

    /// <summary>
    /// Claims every open run of the data folder. The lock on the folder says that no other owner lives.
    /// </summary>
    internal async Task<IReadOnlyList<LiveRun>> ClaimAllAsync()
    {
        var claimed = new List<LiveRun>();
        foreach (var open in database.Read(RunStore.Open))
        {
            var head = open.Head with { Payer = budgets(open.Head.Payer) };
            LiveRun? run = null;
            try
            {
                run = new LiveRun(head, new RunState(head.RunId, credits), KeyOf(head));
                log.Register(run);
                if (open.IsCancelRequested)
                {
                    run.RequestCancel();
                }

                await ClaimAsync(run);
            }
            catch (StorageException error) when (error.Fault == StorageFault.Damaged)
            {
                // One damaged log or key must not keep the others from going on; `reeve verify` names it.
                LogDamaged(error, head.RunId);
                if (run is not null)
                {
                    log.Forget(run);
                }

                continue;
            }

            if (run.State.IsTerminal)
            {
                log.Forget(run);
            }

            claimed.Add(run);
        }

        return claimed;
    }

    private ContentKey? KeyOf(RunHead head) =>
        head.IsSealed ? database.Read(session => session.ContentKey(head.Tenant)) : null;

    internal async Task ClaimAsync(LiveRun run)
    {
        var epoch = await database.WriteAsync(session => RunStore.Claim(session, run.RunId));
        failpoints.Hit(Failpoints.RecoverClaimed);
        var events = ReadAll(run.Head);
        var state = new RunState(run.RunId, credits);
        foreach (var entry in events)
        {
            state.Apply(entry);
        }

        run.Reclaim(epoch ?? run.Epoch, state, events);
        if (state.Status == RunStatuses.Running)
        {
            await MendAsync(run);
        }
        else if (state.Status == RunStatuses.Queued && run.IsCancelRequested)
        {
            await EndAsync(run, new RunCancelled());
        }

        failpoints.Hit(Failpoints.RecoverMended);
    }

    private async Task MendAsync(LiveRun run)
    {
        var state = run.State;
        var end = state.OpenCall is { } open ? CallEnd.Lost("interrupted", open.Call, state.OpenText) : null;
        RunEventData[] reset = state.OpenText.Length > 0 ? [.. RunLoop.Reset(run, "recovered")] : [];
        await ending.WriteAsync(run, [new RunRecovered()], end, reset);
        if (state.OpenCall is { } hedge)
        {
            await ending.WriteAsync(run, [], CallEnd.Lost("interrupted", hedge.Call, ""));
        }

        if (run.IsCancelRequested)
        {
            await EndAsync(run, new RunCancelled());
        }
        else if (!state.Admitted.HasConversation)
        {
            // Its caller is gone with the connection, and no conversation keeps the answer.
            await EndAsync(run, new RunFailed(ApiErrorCodes.Unavailable.Code,
                "The server stopped while it answered; ask again.")
            {
                RetryAfterSeconds = 1,
            });
        }
        else if (state.RecoveryCount > AttemptsMax)
        {
            await EndAsync(run, new RunFailed(
                ApiErrorCodes.InternalError.Code, "The server failed on this run again and again.")
            {
                Cause = "poisoned",
            });
        }
    }

    private Task EndAsync(LiveRun run, RunEventData terminal) => ending.WriteAsync(run, [], null, terminal);

    [LoggerMessage(Level = LogLevel.Error, Message = "The log of {RunId} cannot be read; the run is left as it is.")]
    private partial void LogDamaged(StorageException error, string runId);

    private List<RunEvent> ReadAll(RunHead head)
    {
        var events = new List<RunEvent>();
        List<RunEvent> page;
        do
        {
            page = log.Read(head.Tenant, head.RunId, events.Count,
                events.Count > 0 ? events[^1].Hash : RunEventCodec.ChainStart);
            events.AddRange(page);
        }
        while (page.Count == RunLog.PageEvents);
        return events.Count > 0 ? events : throw RunLog.Damaged(head.RunId);
    }
}

/// <summary>Gives a payer read from a run's row the monthly budgets that its key and account have now.</summary>
internal delegate Payer PayerBudgets(Payer payer);
