using System.Data.Common;
using System.Text.Json;
using Reeve.Server.Storage;

namespace Reeve.Server.Conversations;

/// <summary>
/// A conversation with what its runs add up to and where its newest run stands (<c>none</c> without a run).
/// </summary>
internal sealed record ConversationSummary(
    string Id, string AgentId, string Title, string NewestStatus, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt,
    long RunCount, long Charged);

/// <summary>Conversations of one agent by the status of their newest run.</summary>
internal static class ConversationSummaries
{
    private const string Newest = "coalesce((SELECT r.status FROM runs r WHERE r.conversation_id = c.id "
        + "AND r.erased_at IS NULL ORDER BY r.ordinal DESC LIMIT 1), 'none')";

    private const string Columns = "SELECT c.id, c.agent_id, c.title, " + Newest + ", c.created_at, "
        + "max(c.updated_at, coalesce((SELECT max(coalesce(r.finished_at, r.created_at)) FROM runs r "
        + "WHERE r.conversation_id = c.id AND r.erased_at IS NULL), 0)), "
        + "(SELECT count(*) FROM runs r WHERE r.conversation_id = c.id AND r.erased_at IS NULL), "
        + "(SELECT coalesce(sum(r.charged), 0) FROM runs r WHERE r.conversation_id = c.id AND r.erased_at IS NULL) "
        + "FROM conversations c ";

    /// <summary>
    /// Newest first. <paramref name="statuses"/>: those of the newest run, parted by spaces; null = any.
    /// </summary>
    internal static List<ConversationSummary> List(
        DbSession session, TenantContext tenant, string agentId, string? statuses, int limit, int offset) =>
        session.List(Columns + "WHERE c.agent_id = $1 AND c.account_id = $2 "
        + "AND ($3 IS NULL OR ' ' || $3 || ' ' LIKE '% ' || " + Newest + " || ' %') "
        + "ORDER BY c.id DESC LIMIT $4 OFFSET $5",
        row => Row(session, row, tenant), agentId, tenant.AccountId, statuses, limit, offset);

    internal static long Count(DbSession session, TenantContext tenant, string agentId, string? statuses) =>
        session.Count(
        "SELECT count(*) FROM conversations c WHERE c.agent_id = $1 AND c.account_id = $2 "
        + "AND ($3 IS NULL OR ' ' || $3 || ' ' LIKE '% ' || " + Newest + " || ' %')",
        agentId, tenant.AccountId, statuses);

    internal static ConversationSummary? Find(DbSession session, TenantContext tenant, string agentId, string id) =>
        session.Single(Columns + "WHERE c.id = $1 AND c.agent_id = $2 AND c.account_id = $3",
            row => Row(session, row, tenant), id, agentId, tenant.AccountId);

    /// <summary>The id and the name that the first run gave which had any; each null when none did.</summary>
    internal static (string? Id, string? Name) FirstUser(DbSession session, TenantContext tenant, string id)
    {
        var (userId, name) = ((string?)null, (string?)null);
        var after = 0L;
        while ((userId is null || name is null) && NextUser(session, tenant, id, after) is { } run)
        {
            userId ??= Member(run.User, "id");
            name ??= Member(run.User, "name");
            after = run.Ordinal;
        }

        return (userId, name);
    }

    private static UserOfRun? NextUser(DbSession session, TenantContext tenant, string id, long after) =>
        session.Single("SELECT ordinal, user, id FROM runs WHERE conversation_id = $1 AND account_id = $2 "
            + "AND ordinal > $3 AND user IS NOT NULL AND erased_at IS NULL ORDER BY ordinal LIMIT 1",
            row => new UserOfRun(row.GetInt64(0), JsonElement.Parse(
                session.Text(row, 1, tenant, ContentColumns.RunUser, row.GetString(2))!)),
            id, tenant.AccountId, after);

    private static string? Member(JsonElement user, string name) =>
        user.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private sealed record UserOfRun(long Ordinal, JsonElement User);

    private static ConversationSummary Row(DbSession session, DbDataReader row, TenantContext tenant) => new(
        row.GetString(0), row.GetString(1),
        ConversationStore.TitleOf(session, row, 2, tenant, row.GetString(0)), row.GetString(3), row.Time(4),
        row.Time(5),
        row.GetInt64(6), row.GetInt64(7));
}
