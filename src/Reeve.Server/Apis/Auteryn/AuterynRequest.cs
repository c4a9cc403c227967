using Reeve.Server.Accounts;
using Reeve.Server.Agents;
using Reeve.Server.Http;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server.Apis.Auteryn;

/// <summary>The body of <c>POST /api/run</c> (wire-auteryn 2), checked.</summary>
internal sealed record AuterynRequest(StartRun Start, bool Stream)
{
    internal const string Route = "/api/run";
    internal const string AgentHeader = "X-Agent-Id";

    internal static async Task<AuterynRequest> ReadAsync(HttpContext context, ReeveOptions options)
    {
        _ = new RequestQuery(context);
        var agent = Agent(context);
        var idempotencyKey = IdempotencyKey.Read(context);
        using var document = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var body = new RequestObject(document.RootElement);
        var query = RunInput.Read(body, "query");
        var taskId = body.String("task_id", 1, 256);
        var stream = body.Boolean("stream") ?? true;
        var given = body.Object("context");
        var userId = given?.String("user_id", 1, 128);
        var userName = given?.String("user_name", 0, 200);
        var metadata = given?.Metadata("metadata");
        body.RejectUnknown();

        var caller = context.Caller();
        return new AuterynRequest(
            new StartRun
            {
                Payer = Payers.Of(caller),
                RequestId = context.TraceIdentifier,
                Agent = agent,
                Input = query,
                ConversationId = taskId is null ? null : RunInput.Conversation(taskId),
                UserId = userId,
                UserName = userName,
                User = RunUser.Show(userId, userName, null),
                Metadata = metadata,
                Whole = !stream,
                Idempotency = idempotencyKey?.Scope(caller.Account.Id, Route, agent, document.RootElement),
            },
            stream);
    }

    /// <summary>
    /// The agent as the header names it, in the form that agents are named in: <c>agt_X</c> or a slug.
    /// </summary>
    internal static string Agent(HttpContext context)
    {
        var values = context.Request.Headers[AgentHeader];
        var text = values.Count == 1 ? values.ToString() : "";
        if (text.Length is 0 or > 256 || text.Contains(',', StringComparison.Ordinal)) // Two that a proxy joined.
        {
            throw ApiException.Invalid("The header X-Agent-Id must name one agent.", AgentHeader);
        }

        return text.StartsWith("agent_", StringComparison.OrdinalIgnoreCase)
            && text.Length >= "agent_".Length + Id.BodyLength
            ? string.Concat(Id.Agent, "_", text.AsSpan("agent_".Length))
            : text.ToLowerInvariant(); // The header is read in any letter case, slugs included.
    }

    /// <summary>The id of the header's agent; it scopes every request.</summary>
    internal static string RequireAgent(HttpContext context, Database database, AgentStore agents)
    {
        var name = Agent(context);
        var tenant = context.Caller().Tenant;
        return database.Read(session => agents.Resolve(session, tenant, name))?.AgentId
            ?? throw ApiException.NotFound("agent", "agent");
    }
}
