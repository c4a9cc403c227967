using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>Runs that live as long as the caller waits who takes their whole answer.</summary>
internal sealed class AwaitedRuns(RunHost host, TimeProvider time, IHostApplicationLifetime lifetime)
{
    private const int RetryAfterSeconds = 1;

    /// <summary>The run once it is completed, its headers set; a caller who leaves cancels it.</summary>
    /// <exception cref="ApiException">It failed or was cancelled.</exception>
    internal async Task<RunState> CompletionOfAsync(HttpContext context, LiveRun run)
    {
        var state = await WaitAsync(context, run);
        var view = RunView.Of(state, run.Head);
        RunHeaders.Set(context, view);
        return state.Status switch
        {
            RunStatuses.Failed => throw view.Error(asReplay: false),
            RunStatuses.Cancelled => throw new ApiException(ApiErrorCodes.Conflict, ChatWriter.Cancelled)
            {
                RunId = state.RunId,
                RetryAfterSeconds = RetryAfterSeconds,
            },
            _ => state,
        };
    }

    private async Task<RunState> WaitAsync(HttpContext context, LiveRun run)
    {
        try
        {
            return await RunWaiting.EndOfAsync(context, run, lifetime, time);
        }
        catch (OperationCanceledException) when (!lifetime.ApplicationStopping.IsCancellationRequested)
        {
            await host.CancelAsync(run.Head.Tenant, run.RunId);
            throw;
        }
    }
}
