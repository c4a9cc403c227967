using System.Globalization;
using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Http;
using Reeve.Server.Tools;

namespace Reeve.Server.Agents;

internal static class AgentEndpoints
{
    private const string AgentPath = "agt_X, agt_X@N for a version, or the slug.";
    private static readonly OpenApiHeader Version = new("ETag", "The version in quotes.");

    internal static IServiceCollection AddAgents(this IServiceCollection services) => services
        .AddSingleton(AgentSchemas.All)
        .AddSingleton<ToolCatalog>()
        .AddSingleton<AgentStore>()
        .AddSingleton<AgentInput>()
        .AddSingleton<AgentCatalog>();

    internal static void MapAgents(this IEndpointRouteBuilder routes)
    {
        var agents = routes.MapGroup("/v1/agents").WithTags("Agents");
        agents.MapPost("", CreateAsync).RequireScope(ApiKeyScopes.Agents)
            .WithName("createAgent").WithSummary("Makes an agent.")
            .Takes("AgentCreate").Answers(201, "Agent", "The agent.", OpenApiMetadata.Location, Version)
            .Refuses(ApiErrorCodes.Conflict);
        agents.MapGet("", ListAsync).RequireScope(ApiKeyScopes.Agents, ApiKeyScopes.Chat)
            .WithName("listAgents").WithSummary("Lists the agents of the account, newest first.")
            .Lists("Agent").Query("slug", "Only the agent with this slug.", static () => Schema.Text(1));
        agents.MapGet("/{id}", GetAsync).RequireScope(ApiKeyScopes.Agents, ApiKeyScopes.Chat)
            .WithName("getAgent").WithSummary("Shows an agent, or one of its versions.")
            .Path("id", AgentPath).Answers(200, "Agent", "The agent.", Version);
        agents.MapPatch("/{id}", PatchAsync).RequireScope(ApiKeyScopes.Agents)
            .WithName("updateAgent").WithSummary("Changes an agent; makes a new version.")
            .Path("id", AgentPath)
            .Header("If-Match", "The current version in quotes; another one answers 409.", static () => Schema.Text())
            .Takes("AgentChange").Answers(200, "Agent", "The agent.", Version).Refuses(ApiErrorCodes.Conflict);
        agents.MapDelete("/{id}", DeleteAsync).RequireScope(ApiKeyScopes.Agents)
            .WithName("deleteAgent")
            .WithSummary("Deletes an agent with its documents, conversations and run content.")
            .Path("id", AgentPath).AnswersNothing("The agent is gone.");
        agents.MapGet("/{id}/versions", VersionsAsync).RequireScope(ApiKeyScopes.Agents, ApiKeyScopes.Chat)
            .WithName("listAgentVersions").WithSummary("Lists the versions of an agent, newest first.")
            .Path("id", AgentPath).Lists("Agent");
        agents.MapGet("/{id}/versions/{number}", VersionAsync).RequireScope(ApiKeyScopes.Agents, ApiKeyScopes.Chat)
            .WithName("getAgentVersion").WithSummary("Shows one version of an agent.")
            .Path("id", AgentPath).Path("number", "The version.").Answers(200, "Agent", "The version.", Version);
    }

    private static async Task CreateAsync(HttpContext context, AgentCatalog agents, ReeveOptions options)
    {
        using var body = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var agent = await agents.CreateAsync(context.Caller().Tenant, body.RootElement);
        context.Response.Headers.Location = $"/v1/agents/{agent.Id}";
        await AnswerAsync(context, StatusCodes.Status201Created, agent);
    }

    private static Task ListAsync(HttpContext context, AgentCatalog agents)
    {
        var query = new RequestQuery(context, "limit", "after", "slug");
        var page = PageQuery.Read(query, Id.Agent);
        return ApiJsonBody.WritePageAsync(
            context, agents.List(context.Caller().Tenant, query.Text("slug"), page), Write);
    }

    private static Task GetAsync(HttpContext context, string id, AgentCatalog agents) =>
        AnswerAsync(context, StatusCodes.Status200OK, agents.Get(context.Caller().Tenant, id));

    private static async Task PatchAsync(HttpContext context, string id, AgentCatalog agents, ReeveOptions options)
    {
        using var body = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var agent = await agents.PatchAsync(context.Caller().Tenant, id, IfMatch(context), body.RootElement);
        await AnswerAsync(context, StatusCodes.Status200OK, agent);
    }

    private static async Task DeleteAsync(HttpContext context, string id, AgentCatalog agents)
    {
        await agents.DeleteAsync(context.Caller().Tenant, id);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static Task VersionsAsync(HttpContext context, string id, AgentCatalog agents)
    {
        var query = new RequestQuery(context, "limit", "after");
        var limit = (int)(query.Integer("limit", 1, PageQuery.LimitMax) ?? PageQuery.LimitDefault);
        return ApiJsonBody.WritePageAsync(
            context, agents.Versions(context.Caller().Tenant, id, limit, (int?)query.Integer("after", 1, int.MaxValue)),
            Write);
    }

    private static Task VersionAsync(HttpContext context, string id, string number, AgentCatalog agents) =>
        int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var version)
            ? AnswerAsync(context, StatusCodes.Status200OK, agents.Version(context.Caller().Tenant, id, version))
            : throw ApiException.NotFound("agent version");

    /// <summary>The version in <c>If-Match: "3"</c>; null when any will do.</summary>
    private static int? IfMatch(HttpContext context)
    {
        var header = context.Request.Headers.IfMatch.ToString();
        if (header is "" or "*")
        {
            return null;
        }

        var isQuoted = header.Length > 2 && header[0] == '"' && header[^1] == '"';
        return isQuoted && int.TryParse(
            header.AsSpan(1, header.Length - 2), NumberStyles.None, CultureInfo.InvariantCulture, out var version)
            ? version
            : throw ApiException.Invalid("If-Match must be a version in quotes, as in \"3\".", "If-Match");
    }

    private static Task AnswerAsync(HttpContext context, int status, Agent agent)
    {
        context.Response.Headers.ETag = $"\"{agent.Version.Number}\"";
        return ApiJsonBody.WriteAsync(context, status, agent, Write);
    }

    private static void Write(Utf8JsonWriter writer, Agent agent)
    {
        writer.WriteStartObject();
        writer.WriteString("id"u8, agent.Id);
        writer.WriteNumber("version"u8, agent.Version.Number);
        AgentConfigJson.WriteMembers(writer, agent.Version.Config);
        writer.WriteNumber("document_count"u8, agent.DocumentCount);
        writer.WriteTime("created_at"u8, agent.CreatedAt);
        writer.WriteTime("updated_at"u8, agent.Version.CreatedAt);
        writer.WriteEndObject();
    }
}
