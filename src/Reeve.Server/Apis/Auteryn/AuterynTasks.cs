using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Agents;
using Reeve.Server.Conversations;
using Reeve.Server.Http;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server.Apis.Auteryn;

/// <summary>Tasks (conversations) and their runs, scoped by the agent of <c>X-Agent-Id</c> (wire-auteryn 4).</summary>
internal sealed class AuterynTasks(
    Database database, AgentStore agents, ConversationCatalog catalog, RunReader reader,
    RunStream stream, AuterynRunWriter writer, TimeProvider time)
{
    private const int OffsetMax = int.MaxValue;
    private const int RunsShownMax = 100;

    internal Task ListAsync(HttpContext context)
    {
        var query = new RequestQuery(context, "limit", "offset", "status");
        var limit = (int)(query.Integer("limit", 1, 100) ?? 20);
        var offset = (int)(query.Integer("offset", 0, OffsetMax) ?? 0);
        var status = query.Word("status", "pending", "running", "completed", "failed");
        var agentId = AuterynRequest.RequireAgent(context, database, agents);
        var tenant = context.Caller().Tenant;
        var (tasks, total) = database.Read(session => (
            ConversationSummaries.List(session, tenant, agentId, EngineStatuses(status), limit, offset),
            ConversationSummaries.Count(session, tenant, agentId, EngineStatuses(status))));
        return ApiJson.WriteAsync(context, 200, ApiJson.Bytes((tasks, total), (json, page) =>
        {
            json.WriteStartObject();
            json.WriteStartArray("tasks"u8);
            foreach (var task in page.tasks)
            {
                json.WriteStartObject();
                WriteTask(json, task);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteNumber("total"u8, page.total);
            json.WriteEndObject();
        }));
    }

    internal Task GetAsync(HttpContext context, string taskId)
    {
        _ = new RequestQuery(context);
        var task = Require(context, taskId);
        var tenant = context.Caller().Tenant;
        var runs = reader.List(tenant, new RunFilter { ConversationId = task.Id, Limit = RunsShownMax });
        var user = database.Read(session => ConversationSummaries.FirstUser(session, tenant, task.Id));
        return ApiJson.WriteAsync(context, 200, ApiJson.Bytes(runs, (json, page) =>
        {
            json.WriteStartObject();
            WriteTask(json, task);
            json.WriteString("agent_id"u8, Id.WithPrefix("agent", task.AgentId));
            json.WriteString("user_id"u8, user.Id);
            json.WriteString("user_name"u8, user.Name);
            json.WriteString("updated_at"u8, AuterynRunWriter.Time(task.UpdatedAt));
            json.WriteStartArray("runs"u8);
            foreach (var run in page.Data)
            {
                writer.WriteSummary(json, run, time.GetUtcNow(), withOurs: false);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }));
    }

    internal Task RunsAsync(HttpContext context, string taskId)
    {
        var query = new RequestQuery(context, "limit", "offset");
        var limit = (int)(query.Integer("limit", 1, 100) ?? 20);
        var offset = (int)(query.Integer("offset", 0, OffsetMax) ?? 0);
        var task = Require(context, taskId);
        var runs = reader.List(context.Caller().Tenant,
            new RunFilter { ConversationId = task.Id, Limit = limit, Offset = offset });
        return ApiJson.WriteAsync(context, 200, ApiJson.Bytes(runs, (json, page) =>
        {
            json.WriteStartObject();
            json.WriteStartArray("runs"u8);
            foreach (var run in page.Data)
            {
                writer.WriteSummary(json, run, time.GetUtcNow(), withOurs: true);
            }

            json.WriteEndArray();
            json.WriteNumber("total"u8, task.RunCount);
            json.WriteEndObject();
        }));
    }

    internal async Task DeleteAsync(HttpContext context, string taskId)
    {
        _ = new RequestQuery(context);
        var task = Require(context, taskId);
        await catalog.DeleteAsync(context.Caller().Tenant, task.Id);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    internal async Task EventsAsync(HttpContext context, string taskId, string runId)
    {
        var after = StreamCursor.Read(context);
        using var place = stream.Enter();
        var task = Require(context, taskId);
        var tenant = context.Caller().Tenant;
        if (!Id.TryParse(Id.Run, runId, out var id)
            || database.Read(session => RunStore.Find(session, tenant, id))?.Head.ConversationId != task.Id
            || reader.Open(tenant, id) is not { } feed)
        {
            throw ApiException.NotFound("run");
        }

        await stream.SendAsync(context, feed, writer.Project, after);
    }

    /// <summary>
    /// The task, if it is the header's agent's; whatever else it may be answers as if it did not exist.
    /// </summary>
    internal ConversationSummary Require(HttpContext context, string taskId)
    {
        var agentId = AuterynRequest.RequireAgent(context, database, agents);
        var tenant = context.Caller().Tenant;
        return ConversationId.Parse(taskId) is { } id
            && database.Read(session => ConversationSummaries.Find(session, tenant, agentId, id)) is { } task
            ? task
            : throw ApiException.NotFound("conversation");
    }

    private void WriteTask(Utf8JsonWriter json, ConversationSummary task)
    {
        json.WriteString("task_id"u8, AuterynRunWriter.TaskId(task.Id));
        json.WriteString("title"u8, task.Title);
        json.WriteString("status"u8, task.NewestStatus switch
        {
            RunStatuses.Running => "running",
            RunStatuses.Completed => "completed",
            RunStatuses.Failed or RunStatuses.Cancelled => "failed",
            _ => "pending",
        });
        json.WriteString("created_at"u8, AuterynRunWriter.Time(task.CreatedAt));
        json.WriteNumber("run_count"u8, task.RunCount);
        writer.WriteCredits(json, task.Charged);
    }

    private static string? EngineStatuses(string? word) => word switch
    {
        null => null,
        "pending" => "queued requires_action none",
        "failed" => "failed cancelled",
        _ => word,
    };
}
