using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Conversations;
using Reeve.Server.Http;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server.Apis.Auteryn;

/// <summary>
/// <c>GET /api/messages</c> (wire-auteryn 5): the newest messages of a task, oldest first inside the page.
/// </summary>
internal sealed class AuterynMessages(
    Database database, AuterynTasks tasks, RunReader reader, AuterynRunWriter writer)
{
    internal Task ListAsync(HttpContext context)
    {
        var query = new RequestQuery(context, "task_id", "limit", "before", "include_tool_calls");
        var taskId = query.Text("task_id") ?? throw ApiException.Invalid("task_id is required.", "task_id");
        var limit = (int)(query.Integer("limit", 1, 200) ?? 50);
        var withTools = query.Word("include_tool_calls", "true", "false") == "true";
        var before = query.Text("before");
        var task = tasks.Require(context, taskId);
        var tenant = context.Caller().Tenant;
        var page = database.Read(session => MessageReader.List(session, tenant, task.Id, new MessageQuery
        {
            Limit = limit,
            From = before is null ? null : Locate(session, tenant, task.Id, before),
            NewestFirst = true,
            WithTools = withTools,
        }));
        var results = Results(tenant, page.Data);
        return ApiJson.WriteAsync(context, 200, ApiJson.Bytes(page, (json, found) =>
        {
            json.WriteStartObject();
            json.WriteStartArray("messages"u8);
            foreach (var message in found.Data.Reverse())
            {
                Write(json, message, results);
            }

            json.WriteEndArray();
            json.WriteBoolean("has_more"u8, found.HasMore);
            json.WriteEndObject();
        }));
    }

    private static MessagePosition Locate(
        DbSession session, TenantContext tenant, string conversationId, string before) =>
        Id.TryParse(Id.Message, before, out var id)
        && MessageReader.TryLocate(session, tenant, conversationId, id, out var position)
            ? position
            : throw ApiException.Invalid("before must be the message_id of a message of this task.", "before");

    // What a tool gave back stands in the log alone; only runs with tool messages on the page are read.
    private Dictionary<(string RunId, string CallId), JsonElement> Results(
        TenantContext tenant, IReadOnlyList<Message> page)
    {
        var results = new Dictionary<(string RunId, string CallId), JsonElement>();
        foreach (var runId in page.Where(message => message.Role == MessageRoles.Tool).Select(message => message.RunId!)
            .Distinct(StringComparer.Ordinal))
        {
            foreach (var call in reader.ToolCalls(tenant, runId))
            {
                results[(runId, call.Id)] = call.Result;
            }
        }

        return results;
    }

    private void Write(
        Utf8JsonWriter json, Message message, Dictionary<(string RunId, string CallId), JsonElement> results)
    {
        json.WriteStartObject();
        json.WriteString("message_id"u8, message.Id);
        json.WriteString("role"u8, message.Role);
        json.WriteString("content"u8, message.Content);
        json.WriteString("created_at"u8, AuterynRunWriter.Time(message.CreatedAt));
        if (message.Role == MessageRoles.Assistant)
        {
            json.WriteString("run_id"u8, message.RunId);
            writer.WriteCredits(json, message.ChargedMicroUsd);
            json.WriteString("status"u8, message.IsComplete ? "completed" : "incomplete");
        }
        else if (message.Role == MessageRoles.Tool)
        {
            WriteTool(json, message, results);
        }

        json.WriteEndObject();
    }

    private static void WriteTool(
        Utf8JsonWriter json, Message message, Dictionary<(string RunId, string CallId), JsonElement> results)
    {
        var call = message.ToolCalls[0];
        var callId = call.GetProperty("id").GetString()!;
        json.WriteString("run_id"u8, message.RunId);
        json.WriteString("call_id"u8, callId);
        json.WriteString("tool"u8, call.GetProperty("tool").GetString());
        json.WriteString("action"u8, call.GetProperty("action").GetString());
        json.WritePropertyName("params"u8);
        call.GetProperty("params").WriteTo(json);
        json.WritePropertyName("result"u8);
        if (results.TryGetValue((message.RunId!, callId), out var result)
            && result.ValueKind != JsonValueKind.Undefined)
        {
            result.WriteTo(json);
        }
        else
        {
            json.WriteNullValue();
        }

        json.WriteBoolean("is_error"u8, call.GetProperty("is_error").GetBoolean());
    }
}
