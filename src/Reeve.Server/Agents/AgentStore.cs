using System.Collections.Concurrent;
using System.Data.Common;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Reeve.Server.Audit;
using Reeve.Server.Storage;

namespace Reeve.Server.Agents;

/// <summary>All SQL of agents and their versions.</summary>
internal sealed class AgentStore
{
    private const string HeadColumns = "SELECT a.id, v.version, v.config_sha256, v.created_at FROM agents a "
        + "JOIN agent_versions v ON v.agent_id = a.id ";

    private const string Columns = "SELECT a.id, v.version, v.config_sha256, v.created_at, a.created_at, "
        + "(SELECT count(*) FROM documents d WHERE d.account_id = a.account_id AND d.agent_id = a.id "
        + "AND d.status IN ('ready', 'processing')) FROM agents a JOIN agent_versions v ON v.agent_id = a.id ";

    private const string ById =
        "AND v.version = coalesce($3, a.version) WHERE a.id = $1 AND a.account_id = $2";

    private const string BySlug =
        "AND v.version = coalesce($3, a.version) WHERE a.slug = $1 AND a.account_id = $2";

    private const int RecalledMax = 10_000;

    private readonly AgentVersionCache _cache = new();
    private readonly ConcurrentDictionary<(string AccountId, string Reference), AgentVersion> _recalled = new();

    /// <summary>
    /// The version that a reference names now; null when there is none in this account. Every run goes through here:
    /// the head is read each time, what the version holds comes from memory.
    /// </summary>
    internal AgentVersion? Resolve(DbSession session, TenantContext tenant, string reference)
    {
        if (!AgentReference.TryParse(reference, out var parsed))
        {
            return null;
        }

        var head = parsed.Id is { } id
            ? session.Single(HeadColumns + ById, Head, id, tenant.AccountId, parsed.Version)
            : session.Single(HeadColumns + BySlug, Head, parsed.Slug, tenant.AccountId, parsed.Version);
        return head is null ? null : Load(session, tenant, head);
    }

    /// <summary>
    /// What a reference named when it was last resolved for a run, without a look at the database. It may be out of
    /// date: whoever uses it asks <see cref="IsNewest"/> in the transaction that counts.
    /// </summary>
    internal AgentVersion? Recall(TenantContext tenant, string reference) =>
        _recalled.GetValueOrDefault((tenant.AccountId, reference));

    /// <summary>
    /// Resolves outside of any write and remembers it. A pinned version is not remembered: its slug may move on.
    /// </summary>
    internal AgentVersion? ResolveAndRemember(DbSession session, TenantContext tenant, string reference)
    {
        var version = Resolve(session, tenant, reference);
        if (version is not null && !reference.Contains('@', StringComparison.Ordinal))
        {
            if (_recalled.Count >= RecalledMax)
            {
                _recalled.Clear();
            }

            _recalled[(tenant.AccountId, reference)] = version;
        }

        return version;
    }

    /// <summary>True while the agent is there and this is its published version.</summary>
    internal static bool IsNewest(DbSession session, TenantContext tenant, AgentVersion version) => session.Exists(
        "SELECT 1 FROM agents WHERE id = $1 AND account_id = $2 AND version = $3",
        version.AgentId, tenant.AccountId, version.Number);

    internal static bool IsThere(DbSession session, TenantContext tenant, string agentId) => session.Exists(
        "SELECT 1 FROM agents WHERE id = $1 AND account_id = $2", agentId, tenant.AccountId);

    internal Agent? Find(DbSession session, TenantContext tenant, AgentReference reference)
    {
        var row = reference.Id is { } id
            ? session.Single(Columns + ById, Row, id, tenant.AccountId, reference.Version)
            : session.Single(Columns + BySlug, Row, reference.Slug, tenant.AccountId, reference.Version);
        return row is null ? null : ToAgent(session, tenant, row);
    }

    /// <summary>Newest first; one more than <paramref name="limit"/>, so that the page knows of the next.</summary>
    internal List<Agent> List(DbSession session, TenantContext tenant, string? slug, int limit, string? after) =>
        [.. session.List(Columns + "AND v.version = a.version WHERE a.account_id = $1 "
            + "AND a.slug = coalesce($2, a.slug) AND a.id < $3 ORDER BY a.id DESC LIMIT $4", Row,
            tenant.AccountId, slug, after ?? "~", limit + 1)
            .Select(row => ToAgent(session, tenant, row))];

    /// <summary>The versions of one agent, newest first.</summary>
    internal List<Agent> Versions(DbSession session, TenantContext tenant, string agentId, int limit, int? before) =>
        [.. session.List(Columns + "AND v.version < $3 WHERE a.id = $1 AND a.account_id = $2 "
            + "ORDER BY v.version DESC LIMIT $4", Row, agentId, tenant.AccountId, before ?? int.MaxValue, limit + 1)
            .Select(row => ToAgent(session, tenant, row))];

    internal static bool SlugIsTaken(
        DbSession session, TenantContext tenant, string slug, string exceptAgentId) => session.Exists(
        "SELECT 1 FROM agents WHERE account_id = $1 AND slug = $2 AND id <> $3", tenant.AccountId, slug, exceptAgentId);

    internal static void Insert(DbSession session, TenantContext tenant, AgentVersion version)
    {
        var at = version.CreatedAt.ToUnixTimeMilliseconds();
        session.Execute("INSERT INTO agents (id, account_id, slug, version, created_at, updated_at) "
            + "VALUES ($1, $2, $3, $4, $5, $5)",
            version.AgentId, tenant.AccountId, version.Config.Slug, version.Number, at);
        InsertVersion(session, tenant, version, at);
    }

    /// <summary>Makes a version the newest one of its agent.</summary>
    internal static void Advance(DbSession session, TenantContext tenant, AgentVersion version)
    {
        var at = version.CreatedAt.ToUnixTimeMilliseconds();
        session.Execute("UPDATE agents SET slug = $3, version = $4, updated_at = $5 WHERE id = $1 AND account_id = $2",
            version.AgentId, tenant.AccountId, version.Config.Slug, version.Number, at);
        InsertVersion(session, tenant, version, at);
    }

    /// <summary>What the audit says of a version: its number and the hash of its configuration.</summary>
    internal static string Facts(AgentVersion version) => AuditLog.Detail(
        ("version", version.Number.ToString(CultureInfo.InvariantCulture)),
        ("config_sha256", Hash(AgentConfigJson.Serialize(version.Config))));

    internal static void Delete(DbSession session, TenantContext tenant, string agentId)
    {
        session.Execute(
            "DELETE FROM agent_versions WHERE agent_id = $1 AND account_id = $2", agentId, tenant.AccountId);
        session.Execute("DELETE FROM agents WHERE id = $1 AND account_id = $2", agentId, tenant.AccountId);
    }

    /// <summary>The versions whose configuration is not the one that was written.</summary>
    internal static IEnumerable<string> ChangedVersions(DbSession session) => session.List(
        "SELECT agent_id, version, config_sha256, config FROM agent_versions",
        static row => Hash(row.GetString(3)) == row.GetString(2) ? null : $"{row.GetString(0)}@{row.GetInt64(1)}")
        .OfType<string>();

    private static string Hash(string config) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(config)));

    private static void InsertVersion(DbSession session, TenantContext tenant, AgentVersion version, long at)
    {
        var config = AgentConfigJson.Serialize(version.Config);
        session.Execute("INSERT INTO agent_versions (agent_id, version, account_id, config_sha256, created_at, config) "
            + "VALUES ($1, $2, $3, $4, $5, $6)", version.AgentId, version.Number, tenant.AccountId,
            Hash(config), at, config);
    }

    private Agent ToAgent(DbSession session, TenantContext tenant, AgentRow row) =>
        new(Load(session, tenant, row.Head), row.CreatedAt, row.DocumentCount);

    private AgentVersion Load(DbSession session, TenantContext tenant, AgentHead head)
    {
        var key = new AgentVersionKey(tenant.AccountId, head.AgentId, head.Version, head.Sha256);
        if (_cache.Find(key) is { } known)
        {
            return known;
        }

        var config = session.Single(
            "SELECT config FROM agent_versions WHERE agent_id = $1 AND version = $2 AND account_id = $3",
            static row => row.GetString(0), head.AgentId, head.Version, tenant.AccountId)!;
        var version = new AgentVersion
        {
            AgentId = head.AgentId,
            Number = head.Version,
            Config = AgentConfigJson.Deserialize(config),
            CreatedAt = head.CreatedAt,
        };
        _cache.Add(key, version, config.Length);
        return version;
    }

    private static AgentHead Head(DbDataReader row) =>
        new(row.GetString(0), row.GetInt32(1), row.GetString(2), Time(row.GetInt64(3)));

    private static AgentRow Row(DbDataReader row) =>
        new(Head(row), Time(row.GetInt64(4)), row.GetInt64(5));

    private static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    private sealed record AgentHead(string AgentId, int Version, string Sha256, DateTimeOffset CreatedAt);

    private sealed record AgentRow(AgentHead Head, DateTimeOffset CreatedAt, long DocumentCount);
}
