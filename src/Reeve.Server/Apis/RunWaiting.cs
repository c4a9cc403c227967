using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis;

/// <summary>What a caller who wants the whole answer waits for.</summary>
internal static class RunWaiting
{
    private const int RetryAfterSeconds = 5;

    private static readonly TimeSpan Look = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The end of a run. A server that stops lets its callers go: the run is taken up again at the next start. So does
    /// one whose database does not take what the run has to write, which may last.
    /// </summary>
    internal static async Task<RunState> EndOfAsync(
        HttpContext context, LiveRun run, IHostApplicationLifetime lifetime, TimeProvider time)
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(
            context.RequestAborted, lifetime.ApplicationStopping);
        var end = run.EndAsync();
        var wasBroken = false;
        while (true)
        {
            try
            {
                return await end.WaitAsync(Look, time, leaving.Token);
            }
            catch (TimeoutException) when (wasBroken && run.IsBroken)
            {
                throw GoesOn(run, "The database does not take the run's events now; it goes on when it does "
                    + "and can be read by its id.");
            }
            catch (TimeoutException)
            {
                wasBroken = run.IsBroken;
            }
            catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
            {
                throw GoesOn(run, run.State.Admitted.HasConversation
                    ? "The server is stopping; the run goes on when it is back and can be read by its id."
                    : "The server is stopping; ask again.");
            }
        }
    }

    private static ApiException GoesOn(LiveRun run, string message) => new(ApiErrorCodes.Unavailable, message)
    {
        RunId = run.RunId,
        ConversationId = run.Head.ConversationId,
        RetryAfterSeconds = RetryAfterSeconds,
    };

    /// <summary>A replay has no body before the run has one.</summary>
    internal static void RefuseWhileRunning(RunView run)
    {
        if (!run.IsTerminal && run.Status != RunStatuses.RequiresAction)
        {
            throw new ApiException(ApiErrorCodes.Conflict,
                "The run that this Idempotency-Key started is still running.", "Idempotency-Key")
            {
                RunId = run.RunId,
                ConversationId = run.Admitted.ConversationId,
            };
        }
    }
}
