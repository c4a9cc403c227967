using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis;

/// <summary>What a caller who wants the whole answer waits for.</summary>
internal static class RunWaiting
{
    private const int RetryAfterSeconds = 5;

    /// <summary>
    /// The end of a run. A server that stops lets its callers go: the run is taken up again at the next start.
    /// </summary>
    internal static async Task<RunState> EndOfAsync(HttpContext context, LiveRun run, IHostApplicationLifetime lifetime)
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(
            context.RequestAborted, lifetime.ApplicationStopping);
        try
        {
            return await run.EndAsync().WaitAsync(leaving.Token);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw new ApiException(ApiErrorCodes.Unavailable,
                "The server is stopping; the run goes on when it is back and can be read by its id.")
            {
                RunId = run.RunId,
                ConversationId = run.Head.ConversationId,
                RetryAfterSeconds = RetryAfterSeconds,
            };
        }
    }

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
