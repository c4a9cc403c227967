using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Http;

namespace Reeve.Server.Conversations;

internal static class ConversationEndpoints
{
    internal static IServiceCollection AddConversations(this IServiceCollection services) => services
        .AddSingleton(ConversationSchemas.All)
        .AddSingleton<Agents.EraseConversations>(Erasure.EraseAgent)
        .AddSingleton<ConversationCatalog>()
        .AddHostedService<ChatRetention>();

    internal static void MapConversations(this IEndpointRouteBuilder routes)
    {
        var conversations = routes.MapGroup("/v1/conversations").WithTags("Conversations");
        conversations.MapPost("", CreateAsync).RequireScope(ApiKeyScopes.Agents, ApiKeyScopes.Chat)
            .WithName("createConversation").WithSummary("Makes an empty conversation.")
            .Takes("ConversationCreate")
            .Answers(201, "Conversation", "The conversation.", OpenApiMetadata.Location)
            .Misses("agent").Refuses(ApiErrorCodes.ConversationLimitExceeded);
        conversations.MapGet("", ListAsync).RequireScope(ApiKeyScopes.Agents, ApiKeyScopes.Chat)
            .WithName("listConversations").WithSummary("Lists conversations, newest first.")
            .Lists("Conversation")
            .Query("agent", "Only of this agent.", static () => Schema.Text(1))
            .Query("user_id", "Only of this user.", static () => Schema.Text(1))
            .Query("status", "Only with this status.",
                static () => Schema.Word(ConversationStatuses.Active, ConversationStatuses.Ended));
        conversations.MapGet("/{id}", GetAsync).RequireScope(ApiKeyScopes.Agents, ApiKeyScopes.Chat)
            .WithName("getConversation").WithSummary("Shows a conversation.")
            .Answers(200, "Conversation", "The conversation.");
        conversations.MapPatch("/{id}", PatchAsync).RequireScope(ApiKeyScopes.Agents)
            .WithName("updateConversation").WithSummary("Renames, ends or reactivates a conversation.")
            .Takes("ConversationChange").Answers(200, "Conversation", "The conversation.")
            .Refuses(ApiErrorCodes.ConversationBusy);
        conversations.MapDelete("/{id}", DeleteAsync).RequireScope(ApiKeyScopes.Agents)
            .WithName("deleteConversation").WithSummary("Deletes a conversation with its messages and run content.")
            .AnswersNothing("The conversation is gone.");
        conversations.MapGet("/{id}/messages", MessagesAsync).RequireScope(ApiKeyScopes.Agents, ApiKeyScopes.Chat)
            .WithName("listMessages").WithSummary("Lists the messages of a conversation, oldest first.")
            .Lists("Message").Query("order", "desc: newest first.", static () => Schema.Word("asc", "desc"));
        conversations.MapPost("/{id}/fork", ForkAsync).RequireScope(ApiKeyScopes.Agents, ApiKeyScopes.Chat)
            .WithName("forkConversation").WithSummary("Goes on from a message in a new conversation.")
            .Takes("ConversationFork", required: false)
            .Answers(201, "Conversation", "The new conversation.", OpenApiMetadata.Location)
            .Refuses(ApiErrorCodes.ConversationLimitExceeded);
    }

    private static async Task CreateAsync(HttpContext context, ConversationCatalog conversations, ReeveOptions options)
    {
        using var body = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var created = await conversations.CreateAsync(context.Caller().Tenant, body.RootElement);
        await CreatedAsync(context, created, options);
    }

    private static Task ListAsync(HttpContext context, ConversationCatalog conversations, ReeveOptions options)
    {
        var query = new RequestQuery(context, "limit", "after", "agent", "user_id", "status");
        var page = PageQuery.Read(query, Id.Conversation);
        var found = conversations.List(context.Caller().Tenant, query.Text("agent"), query.Text("user_id"),
            query.Word("status", ConversationStatuses.Active, ConversationStatuses.Ended), page);
        return ApiJsonBody.WritePageAsync(context, found, (writer, view) => Write(writer, view, options.Credits));
    }

    private static Task GetAsync(
        HttpContext context, string id, ConversationCatalog conversations, ReeveOptions options) =>
        AnswerAsync(context, StatusCodes.Status200OK, conversations.Get(context.Caller().Tenant, id), options);

    private static async Task PatchAsync(
        HttpContext context, string id, ConversationCatalog conversations, ReeveOptions options)
    {
        using var body = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var changed = await conversations.PatchAsync(context.Caller().Tenant, id, body.RootElement);
        await AnswerAsync(context, StatusCodes.Status200OK, changed, options);
    }

    private static async Task DeleteAsync(HttpContext context, string id, ConversationCatalog conversations)
    {
        await conversations.DeleteAsync(context.Caller().Tenant, id);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static Task MessagesAsync(HttpContext context, string id, ConversationCatalog conversations)
    {
        var query = new RequestQuery(context, "limit", "after", "order");
        var page = PageQuery.Read(query, Id.Message);
        var newestFirst = query.Word("order", "asc", "desc") == "desc";
        var found = conversations.Messages(context.Caller().Tenant, id, page.Limit, page.After, newestFirst);
        var conversationId = ConversationId.Parse(id)!;
        return ApiJsonBody.WritePageAsync(
            context, found, (writer, message) => Write(writer, conversationId, message));
    }

    private static async Task ForkAsync(
        HttpContext context, string id, ConversationCatalog conversations, ReeveOptions options)
    {
        using var body = await RequestBody.ReadOptionalAsync(context, options.Limits.BodyBytesMax);
        var fork = await conversations.ForkAsync(context.Caller().Tenant, id, body.RootElement);
        await CreatedAsync(context, fork, options);
    }

    private static Task CreatedAsync(HttpContext context, ConversationView view, ReeveOptions options)
    {
        context.Response.Headers.Location = $"/v1/conversations/{view.Conversation.Id}";
        return AnswerAsync(context, StatusCodes.Status201Created, view, options);
    }

    private static Task AnswerAsync(HttpContext context, int status, ConversationView view, ReeveOptions options) =>
        ApiJsonBody.WriteAsync(context, status, view, (writer, shown) => Write(writer, shown, options.Credits));

    private static void Write(Utf8JsonWriter writer, ConversationView view, CreditOptions credits)
    {
        var (conversation, sums) = view;
        writer.WriteStartObject();
        writer.WriteString("id"u8, conversation.Id);
        writer.WriteString("agent_id"u8, conversation.AgentId);
        writer.WriteString("title"u8, conversation.Title);
        writer.WriteString("status"u8, conversation.Status);
        writer.WritePropertyName("user"u8);
        if (conversation.User is { } user)
        {
            user.WriteTo(writer);
        }
        else
        {
            writer.WriteNullValue();
        }

        writer.WritePropertyName("metadata"u8);
        conversation.Metadata.WriteTo(writer);
        writer.WriteNumber("run_count"u8, sums.RunCount);
        writer.WriteNumber("message_count"u8, sums.MessageCount);
        writer.WriteNumber("credits_used"u8, Money.Credits(sums.ChargedMicroUsd, credits.MicroUsdPerCredit));
        writer.WriteString("active_run_id"u8, sums.ActiveRunId);
        writer.WritePropertyName("forked_from"u8);
        if (conversation.ForkedFrom is { } source)
        {
            writer.WriteStartObject();
            writer.WriteString("conversation_id"u8, source.ConversationId);
            writer.WriteString("message_id"u8, source.MessageId);
            writer.WriteEndObject();
        }
        else
        {
            writer.WriteNullValue();
        }

        writer.WriteTime("created_at"u8, conversation.CreatedAt);
        writer.WriteTime("updated_at"u8, view.UpdatedAt);
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, string conversationId, Message message)
    {
        writer.WriteStartObject();
        writer.WriteString("id"u8, message.Id);
        writer.WriteString("conversation_id"u8, conversationId);
        writer.WriteString("role"u8, message.Role);
        writer.WriteString("content"u8, message.Content);
        writer.WriteString("status"u8, message.IsComplete ? "completed"u8 : "incomplete"u8);
        writer.WriteString("run_id"u8, message.RunId);
        writer.WriteStartArray("sources"u8);
        foreach (var source in message.Sources.EnumerateArray())
        {
            writer.WriteStartObject();
            CopyMember(writer, source, "document_id", "documentId"u8);
            CopyMember(writer, source, "chunk_id", "chunkId"u8);
            CopyMember(writer, source, "score", "score"u8);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("tool_calls"u8);
        foreach (var call in message.ToolCalls.EnumerateArray())
        {
            writer.WriteStartObject();
            CopyMember(writer, call, "id", "id"u8);
            CopyMember(writer, call, "tool", "tool"u8);
            CopyMember(writer, call, "action", "action"u8);
            CopyMember(writer, call, "params", "params"u8);
            CopyMember(writer, call, "result_summary", "result_summary"u8);
            CopyMember(writer, call, "is_error", "is_error"u8);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteTime("created_at"u8, message.CreatedAt);
        writer.WriteEndObject();
    }

    private static void CopyMember(Utf8JsonWriter writer, JsonElement from, string member, ReadOnlySpan<byte> name)
    {
        writer.WritePropertyName(name);
        if (from.TryGetProperty(member, out var value))
        {
            value.WriteTo(writer);
        }
        else
        {
            writer.WriteNullValue();
        }
    }
}
