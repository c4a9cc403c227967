using System.Data.Common;
using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Conversations;

/// <summary>All SQL of conversations; their messages are <see cref="MessageReader"/>'s.</summary>
internal static class ConversationStore
{
    private const string Columns = "SELECT id, agent_id, title, status, user, metadata, forked_from_conversation, "
        + "forked_from_message, created_at, updated_at FROM conversations ";

    /// <summary>
    /// Adds a conversation and counts it to its agent's cap; refuses before anything is written. Works inside the
    /// transaction that admits a run.
    /// </summary>
    internal static void Insert(
        DbSession session, TenantContext tenant, Conversation conversation, long conversationLimit)
    {
        RequireRoom(session, tenant, conversation.AgentId, conversationLimit);
        session.Execute("UPDATE agents SET conversation_count = conversation_count + 1 "
            + "WHERE id = $1 AND account_id = $2", conversation.AgentId, tenant.AccountId);
        session.Execute("INSERT INTO conversations (id, account_id, agent_id, title, status, user_id, user, metadata, "
            + "forked_from_conversation, forked_from_message, created_at, updated_at) "
            + "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            conversation.Id, tenant.AccountId, conversation.AgentId, Title(session, tenant, conversation),
            conversation.Status, conversation.UserId,
            session.Stored(conversation.IsSealed, tenant, ContentColumns.ConversationUser, conversation.Id,
                conversation.User?.GetRawText()),
            Metadata(session, tenant, conversation),
            conversation.ForkedFrom?.ConversationId, conversation.ForkedFrom?.MessageId,
            conversation.CreatedAt.ToUnixTimeMilliseconds(), conversation.UpdatedAt.ToUnixTimeMilliseconds());
    }

    /// <summary>Refuses when the agent has reached its cap of conversations.</summary>
    internal static void RequireRoom(DbSession session, TenantContext tenant, string agentId, long conversationLimit)
    {
        var count = session.Count("SELECT conversation_count FROM agents WHERE id = $1 AND account_id = $2",
            agentId, tenant.AccountId);
        if (count >= conversationLimit)
        {
            throw new ApiException(ApiErrorCodes.ConversationLimitExceeded,
                $"The agent has its {conversationLimit} conversations; delete some or raise conversation_limit.");
        }
    }

    private static object? Title(DbSession session, TenantContext tenant, Conversation conversation) => session.Stored(
        conversation is { IsSealed: true, Title: not "" }, tenant, ContentColumns.ConversationTitle, conversation.Id,
        conversation.Title);

    private static object? Metadata(DbSession session, TenantContext tenant, Conversation conversation) =>
        session.Stored(conversation.IsSealed, tenant, ContentColumns.ConversationMetadata, conversation.Id,
            conversation.Metadata.GetRawText());

    internal static void InsertCopy(
        DbSession session, TenantContext tenant, Conversation conversation, long position, Message message) =>
        session.Execute("INSERT INTO copied_messages (conversation_id, position, account_id, id, role, status, "
            + "privacy_class, in_context, created_at, content, sources) "
            + "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            conversation.Id, position, tenant.AccountId, message.Id, message.Role,
            message.IsComplete ? "completed" : "incomplete", message.PrivacyClass.Word(), message.InContext ? 1 : 0,
            message.CreatedAt.ToUnixTimeMilliseconds(),
            session.Stored(conversation.IsSealed, tenant, ContentColumns.CopiedContent, message.Id,
                message.Content),
            session.Stored(conversation.IsSealed, tenant, ContentColumns.CopiedSources, message.Id,
                message.Sources.GetRawText()));

    /// <summary>True when a run of the conversation is encrypted.</summary>
    internal static bool HasSealedRun(DbSession session, TenantContext tenant, string id) => session.Exists(
        "SELECT 1 FROM runs WHERE conversation_id = $1 AND account_id = $2 AND typeof(input) = 'blob' LIMIT 1",
        id, tenant.AccountId);

    internal static Conversation? Find(DbSession session, TenantContext tenant, string id) =>
        session.Single(Columns + "WHERE id = $1 AND account_id = $2", row => Row(session, row, tenant),
            id, tenant.AccountId);

    /// <summary>Gives a conversation that was made empty the title of its first input.</summary>
    internal static void SetTitleIfEmpty(
        DbSession session, TenantContext tenant, string id, string title, bool isSealed) =>
        session.Execute("UPDATE conversations SET title = $3 WHERE id = $1 AND account_id = $2 AND title = ''",
            id, tenant.AccountId, session.Stored(isSealed, tenant, ContentColumns.ConversationTitle, id, title));

    internal static void Update(DbSession session, TenantContext tenant, Conversation conversation) => session.Execute(
        "UPDATE conversations SET title = $3, status = $4, metadata = $5, updated_at = $6 "
        + "WHERE id = $1 AND account_id = $2", conversation.Id, tenant.AccountId,
        Title(session, tenant, conversation), conversation.Status, Metadata(session, tenant, conversation),
        conversation.UpdatedAt.ToUnixTimeMilliseconds());

    /// <summary>Newest first; one more than <paramref name="limit"/>, so that the page knows of the next.</summary>
    internal static List<Conversation> List(
        DbSession session, TenantContext tenant, ConversationFilter filter, int limit, string? after)
    {
        // One statement for each index: by agent, by user, by account.
        var before = after ?? "~";
        Conversation Read(DbDataReader row) => Row(session, row, tenant);
        if (filter.AgentId is not null)
        {
            return session.List(Columns + "WHERE agent_id = $1 AND id < $2 AND account_id = $3 "
                + "AND status = coalesce($4, status) AND ($5 IS NULL OR user_id = $5) ORDER BY id DESC LIMIT $6", Read,
                filter.AgentId, before, tenant.AccountId, filter.Status, filter.UserId, limit + 1);
        }

        return filter.UserId is not null
            ? session.List(Columns + "WHERE account_id = $1 AND user_id = $2 AND id < $3 "
                + "AND status = coalesce($4, status) ORDER BY id DESC LIMIT $5", Read,
                tenant.AccountId, filter.UserId, before, filter.Status, limit + 1)
            : session.List(Columns + "WHERE account_id = $1 AND id < $2 AND status = coalesce($3, status) "
                + "ORDER BY id DESC LIMIT $4", Read, tenant.AccountId, before, filter.Status, limit + 1);
    }

    /// <summary>One pass over the runs' short columns; only a run that broke off has its text looked at.</summary>
    internal static ConversationSums Sums(DbSession session, TenantContext tenant, string id)
    {
        var copied = session.Count(
            "SELECT count(*) FROM copied_messages WHERE conversation_id = $1 AND account_id = $2",
            id, tenant.AccountId);
        return session.Single("SELECT count(*), coalesce(sum(charged), 0), "
            + "coalesce(sum(CASE WHEN status = 'completed' THEN 1 "
            + "WHEN status IN ('failed', 'cancelled') AND output <> '' THEN 1 ELSE 0 END), 0), "
            + "min(CASE WHEN status IN ('queued', 'running', 'requires_action') THEN id END), "
            + "max(coalesce(finished_at, started_at, created_at)) "
            + "FROM runs WHERE conversation_id = $1 AND account_id = $2 AND erased_at IS NULL",
            row => new ConversationSums(row.GetInt64(0), copied + row.GetInt64(0) + row.GetInt64(2), row.GetInt64(1),
                row.StringOrNull(3), row.LongOrNull(4) is { } at ? DateTimeOffset.FromUnixTimeMilliseconds(at) : null),
            id, tenant.AccountId)!;
    }

    /// <summary>The run that holds the conversation: running or waiting, else the first in the queue.</summary>
    internal static string? ActiveRun(DbSession session, TenantContext tenant, string id) => session.Single(
        "SELECT id FROM runs WHERE conversation_id = $1 AND account_id = $2 "
        + "AND status IN ('queued', 'running', 'requires_action') ORDER BY ordinal LIMIT 1",
        static row => row.GetString(0), id, tenant.AccountId);

    /// <summary>A title, which stands in other lists of conversations too.</summary>
    internal static string TitleOf(DbSession session, DbDataReader row, int column, TenantContext tenant, string id) =>
        session.Text(row, column, tenant, ContentColumns.ConversationTitle, id)!;

    private static Conversation Row(DbSession session, DbDataReader row, TenantContext tenant) => new()
    {
        Id = row.GetString(0),
        AgentId = row.GetString(1),
        Title = TitleOf(session, row, 2, tenant, row.GetString(0)),
        Status = row.GetString(3),
        User = session.Text(row, 4, tenant, ContentColumns.ConversationUser, row.GetString(0)) is { } user
            ? JsonElement.Parse(user) : null,
        Metadata = JsonElement.Parse(
            session.Text(row, 5, tenant, ContentColumns.ConversationMetadata, row.GetString(0))!),
        IsSealed = row.GetFieldType(5) == typeof(byte[]) || row.GetFieldType(2) == typeof(byte[]),
        ForkedFrom = row.StringOrNull(6) is { } source ? new ForkedFrom(source, row.StringOrNull(7)) : null,
        CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(8)),
        UpdatedAt = DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(9)),
    };
}
