using System.Collections.Concurrent;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// Owns the open runs of this process: starts their loops, cancels them, gives the next waiting run of a conversation
/// its
/// turn, and stops everything with the server.
/// </summary>
internal sealed partial class RunHost(
    Database database, RunLog log, RunLoop loop, RunContexts contexts, RunRecovery recovery,
    IHostApplicationLifetime lifetime, TimeProvider time, Failpoints failpoints, ILogger<RunHost> logger)
    : IHostedService
{
    private static readonly TimeSpan RecoveryPause = TimeSpan.FromSeconds(1);

    private const int RetryAfterSeconds = 5;

    private readonly ConcurrentDictionary<LiveRun, Task> _loops = [];

    private bool IsStopping => lifetime.ApplicationStopping.IsCancellationRequested;

    /// <summary>Claims every run that no owner ended; done before the server says that it is ready.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var run in await recovery.ClaimAllAsync())
        {
            if (run.State.Status == RunStatuses.Queued)
            {
                _ = Start(() => StartNextAsync(run.Head)); // The server is ready also when one cannot begin.
            }
            else
            {
                StartOwning(run);
            }
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        foreach (var run in _loops.Keys.OrderBy(static one => one.RunId, StringComparer.Ordinal))
        {
            run.Stop();
        }

        try
        {
            await Task.WhenAll(_loops.Values).WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            LogNotReleased(_loops.Count); // They are as after a crash: the next start takes them over.
        }

        failpoints.Hit(Failpoints.StopReleased);
    }

    /// <summary>Takes over what admission let in: runs it, or lets it wait for its turn.</summary>
    internal void Take(LiveRun run, RunContext context, PlannedCall? plan)
    {
        if (plan is null)
        {
            _ = Start(() => StartNextAsync(run.Head));
        }
        else
        {
            StartOwning(run, context, plan);
        }
    }

    /// <summary>
    /// Cancels a run and waits for its end. False: there is no open run of that id; an ended one stays as it is.
    /// </summary>
    internal async Task<bool> CancelAsync(
        TenantContext tenant, string runId, CancellationToken cancellationToken = default)
    {
        var now = time.GetUtcNow();
        if (!await database.WriteAsync(session => RunStore.RequestCancel(session, tenant, runId, now))
            || log.Find(tenant, runId) is not { } run)
        {
            return false;
        }

        failpoints.Hit(Failpoints.CancelRequested);

        // Held for a moment only; and a wait that can be broken off would go on on a thread of the pool.
        await run.Turn.WaitAsync(CancellationToken.None);
        try
        {
            run.RequestCancel();
            failpoints.Hit(Failpoints.CancelSignalled);
            if (run.State.Status == RunStatuses.Queued && !run.IsBroken)
            {
                await EndWaitingAsync(run);
            }
        }
        finally
        {
            run.Turn.Release();
        }

        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(
            cancellationToken, lifetime.ApplicationStopping);
        try
        {
            await run.EndAsync().WaitAsync(leaving.Token);
        }
        catch (OperationCanceledException) when (IsStopping)
        {
            throw Stopping();
        }

        return true;
    }

    private async Task EndWaitingAsync(LiveRun run)
    {
        try
        {
            await loop.EndQueuedAsync(run);
            log.Forget(run);
        }
        catch
        {
            StartOwning(run, takeOver: true); // Somebody must write the end once the database takes it again.
            throw;
        }
    }

    internal async Task CancelAllAsync(TenantContext tenant, IEnumerable<OpenRun> runs)
    {
        // The waiting ones first, so that none of them gets its turn when the active one ends.
        foreach (var run in runs.OrderByDescending(run => run.Head.Ordinal))
        {
            await CancelAsync(tenant, run.Head.RunId);
        }
    }

    /// <summary>A server that stops takes no new run.</summary>
    internal void RefuseWhenStopping()
    {
        if (IsStopping)
        {
            throw Stopping();
        }
    }

    private static ApiException Stopping() => new(ApiErrorCodes.Unavailable, "The server is stopping.")
    {
        RetryAfterSeconds = RetryAfterSeconds,
    };

    private void StartOwning(
        LiveRun run, RunContext? context = null, PlannedCall? plan = null, bool takeOver = false)
    {
        if (takeOver)
        {
            run.IsBroken = true; // At once, so that nobody else gives it its turn or ends it.
        }

        // Who waits for the whole answer has nothing else to do until the provider is asked; a reader of a stream has.
        var task = plan is { Route.Model.IsBuiltIn: false } && run.State.Admitted.Options.Whole
            ? OwnAsync(run, context, plan, takeOver)
            : Start(() => OwnAsync(run, context, plan, takeOver));
        _loops[run] = task;
        if (IsStopping)
        {
            run.Stop(); // It came while the others were being stopped.
        }

        _ = task.ContinueWith(_ => _loops.TryRemove(KeyValuePair.Create(run, task)), TaskScheduler.Current);
    }

    /// <summary>As Task.Run, on the scheduler that the caller runs on: the thread pool's in a server.</summary>
    private static Task Start(Func<Task> work) => Task.Factory.StartNew(
        work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Current).Unwrap();

    private async Task OwnAsync(LiveRun run, RunContext? context, PlannedCall? plan, bool takeOver)
    {
        while (true)
        {
            if (takeOver)
            {
                if (await TakeOverAsync(run))
                {
                    await Task.Delay(RecoveryPause, time, CancellationToken.None); // It may fail again at once.
                    await StartNextAsync(run.Head);
                    return;
                }

                (context, plan) = (null, null);
            }

            try
            {
                if (!run.IsBroken)
                {
                    await loop.RunAsync(run, context, plan);
                }
            }
            catch (StaleOwnerException) when (!run.IsStopped)
            {
                LogStale(run.RunId);
            }
#pragma warning disable CA1031 // A fault of one run must not end the server; the run is taken over like after a crash.
            catch (Exception error)
#pragma warning restore CA1031
            {
                run.IsBroken = true; // Its state may be ahead of the log: what was sealed was perhaps never queued.
                LogFault(error, run.RunId);
            }

            if (run.IsStopped && (run.IsBroken || !run.IsCancelRequested))
            {
                await ReleaseAsync(run);
                return; // The next start takes it over.
            }

            if (run.State.IsTerminal && !run.IsBroken)
            {
                log.Forget(run);
                failpoints.Hit(Failpoints.HostEnded);
                await StartNextAsync(run.Head);
                return;
            }

            takeOver = true;
        }
    }

    /// <summary>Lets go of a run at a clean stop, so that its next owner does not take it for a crash.</summary>
    private async Task ReleaseAsync(LiveRun run)
    {
        if (run.IsBroken || run.State.Status != RunStatuses.Running)
        {
            return;
        }

        try
        {
            await log.AppendAsync(run, [new RunReleased()]);
        }
        catch (Exception error) when (error is StorageException or StaleOwnerException)
        {
            LogFault(error, run.RunId);
        }
    }

    /// <summary>True: the run waits for its turn, and whoever gives it that owns it.</summary>
    private async Task<bool> TakeOverAsync(LiveRun run)
    {
        run.IsBroken = true; // Until the log was read again: its state may be ahead of it.
        while (!IsStopping)
        {
            await run.Turn.WaitAsync(); // Between claim and look nobody may begin it: it would have two owners.
            try
            {
                await recovery.ClaimAsync(run);
                return run.State.Status == RunStatuses.Queued;
            }
#pragma warning disable CA1031 // Somebody must own the run; whatever it was, it is tried again.
            catch (Exception error)
#pragma warning restore CA1031
            {
                run.IsBroken = true; // It was read, but what mends it was perhaps sealed and never queued.
                LogFault(error, run.RunId);
            }
            finally
            {
                run.Turn.Release();
            }

            await Task.Delay(RecoveryPause, time, CancellationToken.None);
        }

        run.Stop();
        return false;
    }

    /// <summary>Gives the oldest waiting run of the conversation its turn, if no run of it is active.</summary>
    private async Task StartNextAsync(RunHead ended)
    {
        while (!IsStopping)
        {
            try
            {
                await StartNextOnceAsync(ended);
                return;
            }
#pragma warning disable CA1031 // The waiting runs have nobody else who would give them their turn.
            catch (Exception error)
#pragma warning restore CA1031
            {
                LogFault(error, ended.RunId);
                await Task.Delay(RecoveryPause, time, CancellationToken.None);
            }
        }
    }

    private async Task StartNextOnceAsync(RunHead ended)
    {
        while (!IsStopping && ended.ConversationId is { } conversationId)
        {
            var open = database.Read(session => RunStore.OpenOf(session, ended.Tenant, conversationId));
            if (open.Count == 0 || open.Exists(run => run.Status != RunStatuses.Queued)
                || log.Find(ended.Tenant, open[0].Head.RunId) is not { } next)
            {
                return;
            }

            if (await BeginAsync(next))
            {
                return;
            }
        }
    }

    /// <summary>
    /// False: the run ended instead (cancelled, no cover, no route, damage), so another one's turn may have come.
    /// </summary>
    private async Task<bool> BeginAsync(LiveRun run)
    {
        await run.Turn.WaitAsync();
        try
        {
            if (run.IsBroken)
            {
                return true; // Its owner is at work on it.
            }

            if (run.State.Status != RunStatuses.Queued)
            {
                return !run.State.IsTerminal;
            }

            RunContext? context;
            try
            {
                context = contexts.Load(run.Head, run.State.Admitted);
            }
            catch (Exception error) when (StorageException.SaysDamaged(error))
            {
                LogUnreadable(error, run.RunId); // Another try would read the same.
                await loop.EndUnreadableAsync(run);
                log.Forget(run);
                return false;
            }

            if (context is null)
            {
                run.RequestCancel();
                await loop.EndQueuedAsync(run);
                log.Forget(run);
                return false;
            }

            if (await loop.BeginQueuedAsync(run, context) is not { } plan)
            {
                log.Forget(run);
                return false;
            }

            failpoints.Hit(Failpoints.HostTurnBegun);
            StartOwning(run, context, plan);
            return true;
        }
        catch (Exception error) when (error is StorageException or StaleOwnerException
            || run.IsBroken || run.State.Status != RunStatuses.Queued)
        {
            LogFault(error, run.RunId);
            StartOwning(run, takeOver: true);
            return true;
        }
        finally
        {
            run.Turn.Release();
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} runs were not let go in time.")]
    private partial void LogNotReleased(int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{RunId} was taken over by another owner.")]
    private partial void LogStale(string runId);

    [LoggerMessage(Level = LogLevel.Error, Message = "What {RunId} goes on from cannot be read; the run is given up.")]
    private partial void LogUnreadable(Exception error, string runId);

    [LoggerMessage(Level = LogLevel.Error, Message = "The owner of {RunId} failed; the run is taken over.")]
    private partial void LogFault(Exception error, string runId);
}
