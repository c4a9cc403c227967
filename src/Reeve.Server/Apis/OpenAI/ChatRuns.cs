using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Receipts.Attestation;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>Answers a chat completion: the JSON body or a stream. Its run lives as long as its caller waits.</summary>
internal sealed class ChatRuns(
    RunAdmission admission, RunReader reader, RunHost host, RunStream stream, AwaitedRuns awaited,
    ModelCatalog catalog, ReeveOptions options, KeyRing keys, Attestations attestations, Capacity capacity,
    IHostApplicationLifetime lifetime)
{
    internal async Task RunAsync(HttpContext context)
    {
        admission.RefuseAtTheDoor();
        using var room = capacity.TakeChat(context.Request.ContentLength);
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
            var state = await awaited.CompletionOfAsync(context, run);
            await ApiJson.WriteAsync(context, 200, ChatWriter.Body(state));
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
}
