using Reeve.Server.Storage;

namespace Reeve.Server.Monitoring;

/// <summary>All SQL of the records of requests, and the sums that the summary shows.</summary>
internal static class RequestLogStore
{
    internal static void Insert(DbSession session, IReadOnlyList<RequestRecord> records)
    {
        foreach (var record in records)
        {
            session.Execute(
                "INSERT INTO request_log (account_id, request_id, key_id, method, path, status, code, run_id, latency, "
                + "created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                record.AccountId, record.RequestId, record.KeyId, record.Method, record.Path, record.Status,
                record.Code, record.RunId, record.LatencyMilliseconds, record.CreatedAt.ToUnixTimeMilliseconds());
        }
    }

    internal static List<RequestRecord> List(DbSession session, TenantContext tenant, string? after, int limit) =>
        session.List(
            "SELECT account_id, request_id, key_id, method, path, status, code, run_id, latency, created_at, "
            + "(SELECT model FROM model_calls m WHERE m.run_id = l.run_id ORDER BY call DESC LIMIT 1) "
            + "FROM request_log l WHERE account_id = $1 AND ($2 IS NULL OR request_id < $2) "
            + "ORDER BY request_id DESC LIMIT $3",
            static row => new RequestRecord(row.GetString(0), row.GetString(1), row.GetString(2), row.GetString(3),
                row.GetString(4), row.GetInt32(5), row.StringOrNull(6), row.StringOrNull(7), row.GetInt64(8),
                row.Time(9))
            {
                Model = row.StringOrNull(10),
            },
            tenant.AccountId, after, limit);

    internal static List<TenantContext> Accounts(DbSession session) =>
        session.List("SELECT id FROM accounts", static row => new TenantContext(row.GetString(0)));

    /// <summary>The oldest of the account's so many newest records; null when there are not so many.</summary>
    internal static string? Nth(DbSession session, TenantContext tenant, int count) => session.Single(
        "SELECT request_id FROM request_log WHERE account_id = $1 ORDER BY request_id DESC LIMIT 1 OFFSET $2",
        static row => row.GetString(0), tenant.AccountId, count - 1);

    internal static int Forget(DbSession session, TenantContext tenant, string before, int limit) => session.Execute(
        "DELETE FROM request_log WHERE account_id = $1 AND request_id IN (SELECT request_id FROM request_log "
        + "WHERE account_id = $1 AND request_id < $2 LIMIT $3)", tenant.AccountId, before, limit);

    /// <summary>Status and milliseconds of each request since then.</summary>
    internal static List<(int Status, long Latency)> Since(
        DbSession session, TenantContext tenant, DateTimeOffset from) => session.List(
        "SELECT status, latency FROM request_log WHERE account_id = $1 AND request_id >= $2 AND created_at >= $3",
        static row => (row.GetInt32(0), row.GetInt64(1)),
        tenant.AccountId, Id.First(Id.Request, from), from.ToUnixTimeMilliseconds());

    /// <summary>Runs that were started since then and have ended, by how they ended.</summary>
    internal static Dictionary<string, long> Ended(DbSession session, TenantContext tenant, DateTimeOffset from) =>
        session.List(
            "SELECT status, count(*) FROM runs WHERE account_id = $1 AND id >= $2 AND finished_at IS NOT NULL "
            + "GROUP BY status",
            static row => (Status: row.GetString(0), Count: row.GetInt64(1)),
            tenant.AccountId, Id.First(Id.Run, from))
            .ToDictionary(static row => row.Status, static row => row.Count, StringComparer.Ordinal);

    /// <summary>Runs that have not ended, whenever they were started.</summary>
    internal static long Active(DbSession session, TenantContext tenant) => session.Count(
        "SELECT (SELECT count(*) FROM runs WHERE conversation_id IS NOT NULL "
        + "AND status IN ('running', 'requires_action') AND account_id = $1) "
        + "+ (SELECT count(*) FROM runs WHERE conversation_id IS NULL "
        + "AND status IN ('running', 'requires_action') AND account_id = $1) "
        + "+ (SELECT count(*) FROM runs WHERE status = 'queued' AND account_id = $1)", tenant.AccountId);

    /// <summary>Micro-USD charged since then.</summary>
    internal static long Charged(DbSession session, TenantContext tenant, DateTimeOffset from) => session.Count(
        "SELECT sum(upstream + margin) FROM model_calls WHERE account_id = $1 AND at >= $2",
        tenant.AccountId, from.ToUnixTimeMilliseconds());
}
