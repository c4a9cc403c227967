using Microsoft.Extensions.DependencyInjection.Extensions;
using Reeve.Server.Accounts;
using Reeve.Server.Http;

namespace Reeve.Server.Apis.Auteryn;

/// <summary>The Auteryn API (wire-auteryn): one call to run an agent, and what it leaves behind.</summary>
internal static class AuterynEndpoints
{
    private static readonly OpenApiHeader Replayed =
        new("Idempotent-Replayed", "true when an Idempotency-Key was known.");

    /// <summary>The error of a run that failed is answered again like anything else.</summary>
    private static readonly OpenApiHeaders OfReplayedErrors = new("run", true, [Replayed]);

    internal static void AddAuteryn(this IServiceCollection services)
    {
        services.AddSingleton(AuterynSchemas.All);
        services.TryAddSingleton<RunStream>();
        services.AddSingleton<AuterynRunWriter>();
        services.AddSingleton<AuterynRuns>();
        services.AddSingleton<AuterynTasks>();
        services.AddSingleton<AuterynMessages>();
    }

    internal static void MapAuteryn(this IEndpointRouteBuilder app)
    {
        var api = app.MapGroup("/api").WithMetadata(AuterynErrors.Dialect).WithTags("Auteryn").Header(
            AuterynRequest.AgentHeader, "agent_X, agent_X@N or the slug: the scope of the request.",
            static () => Schema.Text(1, 256), required: true);
        api.MapPost("/run", static (HttpContext context, AuterynRuns runs) => runs.RunAsync(context))
            .RequireScope(ApiKeyScopes.Chat)
            .WithName("auterynRun").WithSummary("Runs the agent of X-Agent-Id; streams unless stream is false.")
            .Header("Idempotency-Key", "1-255 printable ASCII characters; the same key and body give the same run.",
                static () => Schema.Text(1, 255))
            .Takes("AuterynRunCreate").Answers(200, "AuterynRun", "The run has ended.", Replayed)
            .AnswersEvents("AuterynEvent", Replayed).WithMetadata(OfReplayedErrors)
            .Misses("agent", "conversation", "run").Refuses(
                ApiErrorCodes.InsufficientFunds, ApiErrorCodes.Conflict, ApiErrorCodes.ConversationBusy,
                ApiErrorCodes.ConversationEnded, ApiErrorCodes.NoPermittedRoute, ApiErrorCodes.OutputInvalid,
                ApiErrorCodes.IdempotencyMismatch, ApiErrorCodes.RunLimitExceeded,
                ApiErrorCodes.ConversationLimitExceeded, ApiErrorCodes.ProviderUnavailable);
        MapReading(api.MapGroup("").RequireScope(ApiKeyScopes.Chat, ApiKeyScopes.Agents));
        api.MapDelete("/tasks/{taskId}", static (HttpContext context, string taskId, AuterynTasks tasks) =>
            tasks.DeleteAsync(context, taskId))
            .RequireScope(ApiKeyScopes.Agents)
            .WithName("auterynDeleteTask").WithSummary("Deletes a task with its runs and messages.")
            .AnswersNothing("The task is gone.").Misses("agent", "conversation");
    }

    private static void MapReading(RouteGroupBuilder reading)
    {
        reading.MapGet("/tasks", static (HttpContext context, AuterynTasks tasks) => tasks.ListAsync(context))
            .WithName("auterynListTasks").WithSummary("Lists the agent's tasks, newest first.")
            .Query("limit", "20 when left out.", static () => Schema.Integer(1, 100))
            .Query("offset", "How many to pass over.", static () => Schema.Integer(0, int.MaxValue))
            .Query("status", "Only with this status.",
                static () => Schema.Word("pending", "running", "completed", "failed"))
            .Answers(200, "AuterynTasks", "The tasks.").Misses("agent");
        reading.MapPost("/tasks", static () => Task.CompletedTask)
            .RefusesMethod("GET", "POST /api/run starts a task; this path answers GET only.").ExcludeFromDescription()
            .WithName("auterynPostTasks").WithSummary("Answers 405: POST /api/run starts a task.");
        reading.MapGet("/tasks/{taskId}", static (HttpContext context, string taskId, AuterynTasks tasks) =>
            tasks.GetAsync(context, taskId))
            .WithName("auterynGetTask").WithSummary("One task with its newest runs.")
            .Answers(200, "AuterynTask", "The task.").Misses("agent", "conversation");
        reading.MapGet("/tasks/{taskId}/runs", static (HttpContext context, string taskId, AuterynTasks tasks) =>
            tasks.RunsAsync(context, taskId))
            .WithName("auterynListTaskRuns").WithSummary("The runs of a task, newest first.")
            .Query("limit", "20 when left out.", static () => Schema.Integer(1, 100))
            .Query("offset", "How many to pass over.", static () => Schema.Integer(0, int.MaxValue))
            .Answers(200, "AuterynTaskRuns", "The runs.").Misses("agent", "conversation");
        reading.MapGet("/tasks/{taskId}/runs/{runId}/events",
            static (HttpContext context, string taskId, string runId, AuterynTasks tasks) =>
                tasks.EventsAsync(context, taskId, runId))
            .WithName("auterynStreamRun").WithSummary("Replays a run's stream from a cursor and follows it to its end.")
            .Query("starting_after", "The id of the last event that was read; wins over Last-Event-ID.",
                static () => Schema.Integer(0, StreamCursor.Max))
            .Header("Last-Event-ID", "The id of the last event that was read.",
                static () => Schema.Integer(0, StreamCursor.Max))
            .AnswersEvents("AuterynEvent").AnswersNothing("The run has ended and nothing follows the cursor.")
            .Misses("agent", "conversation", "run");
        reading.MapGet("/messages", static (HttpContext context, AuterynMessages messages) =>
            messages.ListAsync(context))
            .WithName("auterynListMessages").WithSummary("The newest messages of a task, oldest first.")
            .Query("task_id", "The task.", static () => Schema.Text(1), required: true)
            .Query("limit", "50 when left out.", static () => Schema.Integer(1, 200))
            .Query("before", "A message_id: only older messages.", static () => Schema.Text(1))
            .Query("include_tool_calls", "true: tool messages too.", static () => Schema.Word("true", "false"))
            .Answers(200, "AuterynMessages", "The messages.").Misses("agent", "conversation");
    }
}
