using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.Auteryn;

/// <summary>Answers <c>POST /api/run</c>: a stream, or the JSON of the finished run.</summary>
internal sealed class AuterynRuns(
    RunAdmission admission, RunReader reader, RunStream stream, AuterynRunWriter writer,
    ReeveOptions options, IHostApplicationLifetime lifetime, TimeProvider time)
{
    internal async Task RunAsync(HttpContext context)
    {
        admission.RefuseAtTheDoor();
        var request = await AuterynRequest.ReadAsync(context, options);
        using var place = request.Stream ? stream.Enter() : default;
        var admitted = await admission.AdmitAsync(request.Start);
        context.NoteRun(admitted.RunId);
        if (request.Stream)
        {
            SayIfReplayed(context, admitted);
            var feed = reader.Open(request.Start.Tenant, admitted.RunId) ?? throw ApiException.NotFound("run");
            await stream.SendAsync(context, feed, writer.Project, 0);
            return;
        }

        if (admitted.IsReplay)
        {
            var run = reader.View(request.Start.Tenant, admitted.RunId) ?? throw ApiException.NotFound("run");
            RunWaiting.RefuseWhileRunning(run);
            SayIfReplayed(context, admitted);
            await AnswerAsync(context, run, asReplay: true);
            return;
        }

        var state = await RunWaiting.EndOfAsync(context, admitted.Run!, lifetime, time);
        await AnswerAsync(context, RunView.Of(state, admitted.Run!.Head), asReplay: false);
    }

    private static void SayIfReplayed(HttpContext context, Admission admitted)
    {
        if (admitted.IsReplay)
        {
            context.Response.Headers["Idempotent-Replayed"] = "true";
        }
    }

    private Task AnswerAsync(HttpContext context, RunView run, bool asReplay) => run.Status == RunStatuses.Failed
        ? throw run.Error(asReplay)
        : ApiJson.WriteAsync(context, 200, ApiJson.Bytes(run, writer.WriteRun));
}
