using System.Globalization;
using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.Mesh;

/// <summary>Answers a request for a run: the JSON body, a stream, or 202 for the background.</summary>
internal sealed class MeshRuns(
    RunAdmission admission, RunReader reader, RunHost host, RunStream stream, MeshRunWriter writer,
    ReeveOptions options, TimeProvider time, IHostApplicationLifetime lifetime)
{
    internal async Task RunAsync(HttpContext context, string? agentInPath)
    {
        if (agentInPath is not null)
        {
            RefuseAfterSunset();
        }

        admission.RefuseAtTheDoor();
        var request = await MeshRunRequest.ReadAsync(context, options, agentInPath);
        using var place = request.Stream ? stream.Enter() : default;
        var admitted = await admission.AdmitAsync(request.Start);
        context.NoteRun(admitted.RunId);
        if (admitted.IsReplay)
        {
            if (!request.Stream && !request.Background)
            {
                RunWaiting.RefuseWhileRunning(View(request, admitted));
            }

            context.Response.Headers["Idempotent-Replayed"] = "true";
        }

        if (request.Stream)
        {
            await StreamAsync(context, request, admitted);
        }
        else if (request.Background)
        {
            await AnswerAsync(context, View(request, admitted), admitted.IsReplay);
        }
        else if (admitted.IsReplay)
        {
            await AnswerAsync(context, View(request, admitted), asReplay: true);
        }
        else
        {
            var state = await WaitAsync(context, request, admitted.Run!);
            await AnswerAsync(context, RunView.Of(state, admitted.Run!.Head), asReplay: false);
        }
    }

    /// <summary>The legacy route says on every answer, errors included, what to use instead.</summary>
    internal static void AnnounceSunset(HttpContext context)
    {
        var sunset = context.RequestServices.GetRequiredService<ReeveOptions>().LegacyChatSunset;
        var headers = context.Response.Headers;
        headers["Deprecation"] = "true";
        headers["Sunset"] = sunset.ToString("R", CultureInfo.InvariantCulture);
        headers.Link = "</v1/agents/runs>; rel=\"successor-version\"";
    }

    private void RefuseAfterSunset()
    {
        if (time.GetUtcNow() >= options.LegacyChatSunset)
        {
            throw new ApiException(ApiErrorCodes.Gone, "This endpoint has ended; use POST /v1/agents/runs.");
        }
    }

    private async Task StreamAsync(HttpContext context, MeshRunRequest request, Admission admitted)
    {
        var feed = reader.Open(request.Start.Tenant, admitted.RunId) ?? throw ApiException.NotFound("run");
        var receipt = feed.Live?.State.Admitted.ReceiptId ?? View(request, admitted).Admitted.ReceiptId;
        context.Response.Headers["x-mesh-receipt-id"] = receipt;
        var isWhole = await stream.SendAsync(context, feed, writer.Project, 0);
        if (!isWhole && !admitted.IsReplay && IsLeft(context, request))
        {
            await host.CancelAsync(request.Start.Tenant, admitted.RunId);
        }
    }

    private async Task<RunState> WaitAsync(HttpContext context, MeshRunRequest request, LiveRun run)
    {
        try
        {
            return await RunWaiting.EndOfAsync(context, run, lifetime, time);
        }
        catch (OperationCanceledException) when (IsLeft(context, request))
        {
            await host.CancelAsync(request.Start.Tenant, run.RunId);
            throw;
        }
    }

    // The caller went away; a server that stops or a key that is revoked also ends streams, and the run goes on.
    private bool IsLeft(HttpContext context, MeshRunRequest request) => request.Start.CancelOnDisconnect
        && context.RequestAborted.IsCancellationRequested && !lifetime.ApplicationStopping.IsCancellationRequested;

    private RunView View(MeshRunRequest request, Admission admitted) =>
        reader.View(request.Start.Tenant, admitted.RunId) ?? throw ApiException.NotFound("run");

    private async Task AnswerAsync(HttpContext context, RunView run, bool asReplay)
    {
        RunHeaders.Set(context, run);
        if (run.Status == RunStatuses.Failed)
        {
            throw run.Error(asReplay);
        }

        if (run.IsTerminal)
        {
            await ApiJson.WriteAsync(context, 200, writer.Body(run));
            return;
        }

        context.Response.Headers.Location = $"/v1/runs/{run.RunId}";
        await ApiJson.WriteAsync(context, 202, writer.Body(run));
    }
}
