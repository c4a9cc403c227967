using System.Text;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Reeve.Server.Accounts;
using Reeve.Server.Agents;
using Reeve.Server.Http;
using Reeve.Server.Receipts;
using Reeve.Server.Runs;
using Reeve.Server.Storage;
using Reeve.Server.Webhooks;

namespace Reeve.Server.Apis.Mesh;

/// <summary>Running an agent and reading runs, in MESH's shape (wire-mesh 2).</summary>
internal static class MeshRunEndpoints
{
    internal static void AddMesh(this IServiceCollection services)
    {
        services.AddSingleton(MeshSchemas.All);
        services.TryAddSingleton<RunStream>();
        services.AddSingleton<MeshRunWriter>();
        services.AddSingleton<MeshRuns>();
        services.AddSingleton<ShowRun>(static provider => provider.GetRequiredService<MeshRunWriter>().Object);
    }

    internal static void MapMesh(this IEndpointRouteBuilder app)
    {
        app.MapPost("/v1/agents/runs", RunAsync).RequireScope(ApiKeyScopes.Chat)
            .WithName("runAgent").WithSummary("Runs an agent; ?stream=true answers with Server-Sent Events.")
            .Takes("RunCreate").AnswersRun();
        app.MapMethods("/v1/agents/runs", ["GET", "PUT", "PATCH", "DELETE"], static () => Task.CompletedTask)
            .RefusesMethod("POST", "Runs are started by POST.")
            .WithName("refuseRunsMethod").WithSummary("Answers 405: runs are started by POST.")
            .ExcludeFromDescription();
        app.MapPost("/v1/agents/{agentId}/chat", RunLegacyAsync).RequireScope(ApiKeyScopes.Chat)
            .WithName("chatWithAgent").WithSummary("The legacy form of POST /v1/agents/runs; use that instead.")
            .Path("agentId", "agt_X, agt_X@N or the slug.").Takes("ChatCreate").AnswersRun()
            .WithMetadata(MeshSchemas.Sunset, new EveryAnswer(MeshRuns.AnnounceSunset)).Refuses(ApiErrorCodes.Gone);
        var runs = app.MapGroup("/v1/runs").RequireScope(ApiKeyScopes.Chat, ApiKeyScopes.Agents).WithTags("Runs");
        DescribeList(runs.MapGet("", ListAsync).WithName("listRuns").WithSummary("Lists runs, newest first."));
        runs.MapGet("/{runId}", GetAsync).WithName("getRun").WithSummary("One run with its result.")
            .Answers(200, "Run", "The run.");
        runs.MapGet("/{runId}/events", EventsAsync).WithName("streamRun")
            .WithSummary("Replays a run's stream from a cursor and follows it to its end.")
            .Query("starting_after", "The id of the last event that was read; wins over Last-Event-ID.",
                static () => Schema.Integer(0, StreamCursor.Max))
            .Header("Last-Event-ID", "The id of the last event that was read.",
                static () => Schema.Integer(0, StreamCursor.Max))
            .AnswersEvents("RunEvent").AnswersNothing("The run has ended and nothing follows the cursor.");
        app.MapGet("/v1/runs/{runId}/receipt", ReceiptAsync).RequireScope(ApiKeyScopes.Usage, ApiKeyScopes.Chat)
            .WithTags("Runs").WithName("getRunReceipt").WithSummary("The signed receipt of a run that ended.")
            .Answers(200, "Receipt", "The receipt.");
        runs.MapPost("/{runId}/cancel", CancelAsync).WithName("cancelRun").WithSummary("Cancels a run; safe to repeat.")
            .Takes("Nothing", required: false).Answers(200, "Run", "The run.");
    }

    private static void DescribeList(RouteHandlerBuilder list) => list.Lists("Run")
        .Query("agent", "Only of this agent.", static () => Schema.Text(1))
        .Query("conversation_id", "Only of this conversation.", static () => Schema.Text(1))
        .Query("status", "Only with this status.", static () => Schema.Word(RunStatuses.All))
        .Query("user_id", "Only of this user.", static () => Schema.Text(1))
        .Query("mode", "Only of this balance.", static () => Schema.Word("live", "test"))
        .Query("kind", "Only of this kind.", static () => Schema.Word(RunKinds.Words))
        .Query("created_after", "Only younger ones.", static () => Schema.Text(1))
        .Query("created_before", "Only older ones.", static () => Schema.Text(1));

    /// <summary>What both ways of running an agent answer.</summary>
    private static RouteHandlerBuilder AnswersRun(this RouteHandlerBuilder run) => run.WithTags("Runs")
        .Query("stream", "Wins over the body's stream.", static () => Schema.Word("true", "1", "false", "0"))
        .Header("Idempotency-Key", "1-255 printable ASCII characters; the same key and body give the same run.",
            static () => Schema.Text(1, 255))
        .Answers(200, "RunBody", "The run has ended.", MeshSchemas.RunHeaders)
        .AnswersEvents("RunEvent", MeshSchemas.ReceiptId, MeshSchemas.Replayed)
        .Answers(202, "RunBody", "The run goes on.",
            MeshSchemas.ReceiptId, MeshSchemas.Replayed, OpenApiMetadata.Location)
        .WithMetadata(MeshSchemas.OfFailedRuns)
        .Misses("agent", "conversation", "run")
        .Refuses(
            ApiErrorCodes.InsufficientFunds, ApiErrorCodes.Conflict, ApiErrorCodes.ConversationBusy,
            ApiErrorCodes.ConversationEnded, ApiErrorCodes.NoPermittedRoute, ApiErrorCodes.OutputInvalid,
            ApiErrorCodes.IdempotencyMismatch, ApiErrorCodes.RunLimitExceeded, ApiErrorCodes.ConversationLimitExceeded,
            ApiErrorCodes.ProviderUnavailable);

    private static async Task RunAsync(HttpContext context, MeshRuns runs) => await runs.RunAsync(context, null);

    private static async Task RunLegacyAsync(HttpContext context, string agentId, MeshRuns runs) =>
        await runs.RunAsync(context, agentId);

    private static Task ListAsync(
        HttpContext context, RunReader reader, MeshRunWriter writer, Database database, AgentStore agents)
    {
        const string Nothing = "none"; // A foreign or malformed id filters for nothing: an empty list.
        var tenant = context.Caller().Tenant;
        var query = new RequestQuery(context, "limit", "after", "agent", "conversation_id", "status", "user_id", "mode",
            "kind", "created_after", "created_before");
        var page = PageQuery.Read(query, Id.Run);
        var filter = new RunFilter
        {
            After = page.After,
            Limit = page.Limit,
            AgentId = query.Text("agent") is { } agent
                ? database.Read(session => agents.Resolve(session, tenant, agent))?.AgentId ?? Nothing
                : null,
            ConversationId = query.Text("conversation_id") is { } conversation
                ? Conversations.ConversationId.Parse(conversation) ?? Nothing
                : null,
            Status = query.Word("status", RunStatuses.All),
            UserId = query.Text("user_id"),
            Mode = query.Word("mode", "live", "test"),
            Kind = query.Word("kind", RunKinds.Words),
            CreatedAfter = query.Time("created_after"),
            CreatedBefore = query.Time("created_before"),
        };
        return ApiJson.WriteAsync(context, 200, writer.List(reader.List(tenant, filter)));
    }

    private static Task GetAsync(HttpContext context, string runId, RunReader reader, MeshRunWriter writer)
    {
        _ = new RequestQuery(context);
        return ApiJson.WriteAsync(context, 200, writer.Object(Find(context, runId, reader)));
    }

    private static Task ReceiptAsync(HttpContext context, string runId, Database database)
    {
        _ = new RequestQuery(context);
        var tenant = context.Caller().Tenant;
        var document = Id.TryParse(Id.Run, runId, out var id)
            ? database.Read(session => RunStore.Find(session, tenant, id) is null
                ? null
                : ReceiptStore.FindByRun(session, tenant, id))
            : null;
        return document is null
            ? throw ApiException.NotFound("receipt")
            : ApiJson.WriteAsync(context, 200, Encoding.UTF8.GetBytes(document));
    }

    private static async Task EventsAsync(
        HttpContext context, string runId, RunReader reader, MeshRunWriter writer, RunStream stream)
    {
        var after = StreamCursor.Read(context);
        using var place = stream.Enter();
        if (!Id.TryParse(Id.Run, runId, out var id) || reader.Open(context.Caller().Tenant, id) is not { } feed)
        {
            throw ApiException.NotFound("run");
        }

        await stream.SendAsync(context, feed, writer.Project, after);
    }

    private static async Task CancelAsync(
        HttpContext context, string runId, RunReader reader, RunHost host, MeshRunWriter writer, ReeveOptions options)
    {
        _ = new RequestQuery(context);
        using (var document = await RequestBody.ReadOptionalAsync(context, options.Limits.BodyBytesMax))
        {
            new RequestObject(document.RootElement).RejectUnknown();
        }

        var run = Find(context, runId, reader);
        if (!run.IsTerminal)
        {
            // Also when there was nothing left to cancel: then the run ended by itself meanwhile.
            await host.CancelAsync(context.Caller().Tenant, run.RunId, context.RequestAborted);
            run = Find(context, runId, reader);
        }

        await ApiJson.WriteAsync(context, 200, writer.Object(run));
    }

    private static RunView Find(HttpContext context, string runId, RunReader reader) =>
        Id.TryParse(Id.Run, runId, out var id) && reader.View(context.Caller().Tenant, id) is { } run
            ? run
            : throw ApiException.NotFound("run");
}
