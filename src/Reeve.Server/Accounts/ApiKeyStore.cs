using System.Data.Common;
using System.Text.Json;
using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

/// <summary>All SQL of keys and of what they used.</summary>
internal static class ApiKeyStore
{
    private const string Columns = "id, name, kind, scopes, last_four, limits, agent_id, allowed_origins, created_at, "
        + "last_used_at, expires_at, revoked_at";

    /// <summary>The one lookup without a tenant: it finds out who the tenant is.</summary>
    internal static (ApiKey Key, TenantContext Tenant)? FindByHash(DbSession session, byte[] hash) =>
        session.Single<(ApiKey, TenantContext)?>("SELECT " + Columns + ", account_id FROM api_keys WHERE hash = $1",
            static row => (Map(row), new TenantContext(row.GetString(12))), hash);

    internal static ApiKey? Find(DbSession session, TenantContext tenant, string id) =>
        session.Single("SELECT " + Columns + " FROM api_keys WHERE account_id = $1 AND id = $2",
            Map, tenant.AccountId, id);

    internal static List<ApiKey> List(DbSession session, TenantContext tenant, string? after, int limit) =>
        session.List("SELECT " + Columns + " FROM api_keys WHERE account_id = $1 AND ($2 IS NULL OR id < $2) "
            + "ORDER BY id DESC LIMIT $3", Map, tenant.AccountId, after, limit);

    internal static void Insert(DbSession session, TenantContext tenant, ApiKey key, ApiKeyHash hash) =>
        session.Execute("INSERT INTO api_keys (id, account_id, name, kind, scopes, hash, last_four, limits, agent_id, "
            + "allowed_origins, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            key.Id, tenant.AccountId, key.Name, key.Kind, string.Join(' ', key.Scopes), hash.ToArray(), key.LastFour,
            JsonSerializer.Serialize(key.Limits, AccountsJson.Wire.UsageLimits), key.AgentId,
            key.AllowedOrigins is { } origins ? string.Join(' ', origins) : null,
            key.CreatedAt.ToUnixTimeMilliseconds(), key.ExpiresAt?.ToUnixTimeMilliseconds());

    internal static void SetLimits(DbSession session, TenantContext tenant, string id, UsageLimits limits) =>
        session.Execute("UPDATE api_keys SET limits = $3 WHERE account_id = $1 AND id = $2",
            tenant.AccountId, id, JsonSerializer.Serialize(limits, AccountsJson.Wire.UsageLimits));

    internal static void Revoke(DbSession session, TenantContext tenant, string id, DateTimeOffset now) =>
        session.Execute("UPDATE api_keys SET revoked_at = $3 WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL",
            tenant.AccountId, id, now.ToUnixTimeMilliseconds());

    /// <summary>The keys with which the account can still be administered.</summary>
    internal static List<string> LiveAdminIds(DbSession session, TenantContext tenant, DateTimeOffset now) =>
        session.List("SELECT id FROM api_keys WHERE account_id = $1 AND revoked_at IS NULL AND kind <> 'afk_widget' "
            + "AND (expires_at IS NULL OR expires_at > $2) AND ' ' || scopes || ' ' LIKE '% admin %'",
            static row => row.GetString(0), tenant.AccountId, now.ToUnixTimeMilliseconds());

    internal static bool AgentExists(DbSession session, TenantContext tenant, string agentId) =>
        session.Exists("SELECT 1 FROM agents WHERE account_id = $1 AND id = $2", tenant.AccountId, agentId);

    internal static long RequestsOfKey(DbSession session, TenantContext tenant, string keyId, string month) =>
        session.Count("SELECT requests FROM key_months WHERE account_id = $1 AND key_id = $2 AND month = $3",
            tenant.AccountId, keyId, month);

    internal static long RequestsOfAccount(DbSession session, TenantContext tenant, string month) =>
        session.Count("SELECT SUM(requests) FROM key_months WHERE account_id = $1 AND month = $2",
            tenant.AccountId, month);

    internal static long TokensOfKey(DbSession session, TenantContext tenant, string keyId, string month) =>
        session.Count("SELECT tokens FROM key_months WHERE account_id = $1 AND key_id = $2 AND month = $3",
            tenant.AccountId, keyId, month);

    internal static long TokensOfAccount(DbSession session, TenantContext tenant, string month) =>
        session.Count("SELECT SUM(tokens) FROM key_months WHERE account_id = $1 AND month = $2",
            tenant.AccountId, month);

    internal static void WriteUse(
        DbSession session, TenantContext tenant, string keyId, string month, MonthCount count)
    {
        session.Execute("INSERT INTO key_months (key_id, month, account_id, requests) VALUES ($1, $2, $3, $4) "
            + "ON CONFLICT (key_id, month) DO UPDATE SET requests = excluded.requests",
            keyId, month, tenant.AccountId, count.Requests);
        session.Execute("UPDATE api_keys SET last_used_at = $3 WHERE account_id = $1 AND id = $2",
            tenant.AccountId, keyId, count.LastUsedAt.ToUnixTimeMilliseconds());
    }

    private static ApiKey Map(DbDataReader row) => new()
    {
        Id = row.GetString(0),
        Name = row.GetString(1),
        Kind = row.GetString(2),
        Scopes = row.GetString(3).Split(' ').ToHashSet(StringComparer.Ordinal),
        LastFour = row.GetString(4),
        Limits = JsonSerializer.Deserialize(row.GetString(5), AccountsJson.Wire.UsageLimits)!,
        AgentId = row.StringOrNull(6),
        AllowedOrigins = row.StringOrNull(7)?.Split(' '),
        CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(8)),
        LastUsedAt = Time(row, 9),
        ExpiresAt = Time(row, 10),
        RevokedAt = Time(row, 11),
    };

    private static DateTimeOffset? Time(DbDataReader row, int column) =>
        row.LongOrNull(column) is { } milliseconds ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds) : null;
}
