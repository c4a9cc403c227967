using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Receipts.Attestation;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>Answers a chat completion: the JSON body or a stream. Its run lives as long as its caller waits.</summary>
internal sealed class ChatRuns(
    RunAdmission admission, RunReader reader, RunHost host, RunStream stream, ModelCatalog catalog,
    ReeveOptions options, KeyRing keys, Attestations attestations, TimeProvider time, Capacity capacity,
    IHostApplicationLifetime lifetime)
{
    private const int RetryAfterSeconds = 1;

    internal async Task RunAsync(HttpContext context)
    {
        admission.RefuseAtTheDoor();

        // A body that does not say how long it is counts as the longest.
        var bytes = Math.Min(context.Request.ContentLength ?? long.MaxValue, options.Limits.ChatBytesMax);
        using var room = capacity.ChatKibibytes.Take(Capacity.Kibibytes(bytes));
        var request = await ChatCompletionRequest.ReadAsync(context, options, catalog, keys, attestations);
        using var place = request.Stream ? stream.Enter() : default;
        var admitted = await admission.AdmitAsync(request.Start);
        var run = admitted.Run!;
        if (request.Stream)
        {
            await StreamAsync(context, run);
        }
        else
        {
            await AnswerAsync(context, await WaitAsync(context, run), run.Head);
        }
    }

    private async Task StreamAsync(HttpContext context, LiveRun run)
    {
        var feed = reader.Open(run.Head.Tenant, run.RunId) ?? throw ApiException.NotFound("run");
        context.Response.Headers[RunHeaders.ReceiptId] = run.State.Admitted.ReceiptId;
        var isWhole = await stream.SendAsync(context, feed, ChatWriter.Project, 0, frames => ChatWriter.WriteError(
            frames, ApiErrorCodes.Unavailable, "The stream was closed by the server; ask again.", run.RunId));
        if (!isWhole && !lifetime.ApplicationStopping.IsCancellationRequested)
        {
            await host.CancelAsync(run.Head.Tenant, run.RunId);
        }
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

    private static async Task AnswerAsync(HttpContext context, RunState state, RunHead head)
    {
        var view = RunView.Of(state, head);
        RunHeaders.Set(context, view);
        switch (state.Status)
        {
            case RunStatuses.Failed:
                throw view.Error(asReplay: false);
            case RunStatuses.Cancelled:
                throw new ApiException(ApiErrorCodes.Conflict, ChatWriter.Cancelled)
                {
                    RunId = state.RunId,
                    RetryAfterSeconds = RetryAfterSeconds,
                };
            default:
                await ApiJson.WriteAsync(context, 200, ChatWriter.Body(state));
                break;
        }
    }
}
