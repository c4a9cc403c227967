using Reeve.Server.Storage;

namespace Reeve.Server.Credits;

/// <summary>Reads the ledger as an account may see it: what moved its balance.</summary>
internal static class LedgerStore
{
    internal static readonly string[] ShownTypes = ["topup", "hold", "settle", "release", "adjustment"];

    internal static List<LedgerEntry> List(DbSession session, TenantContext tenant, LedgerFilter filter) =>
        session.List(
        "SELECT id, type, change, balance, mode, run_id, receipt_id, note, created_at FROM ledger_entries "
        + "WHERE account_id = $1 AND type <> 'loss' AND ($2 IS NULL OR id < $2) AND ($3 IS NULL OR type = $3) "
        + "AND ($4 IS NULL OR run_id = $4) AND ($5 IS NULL OR mode = $5) ORDER BY id DESC LIMIT $6",
        static row => new LedgerEntry(row.GetString(0), row.GetString(1), row.GetInt64(2), row.GetInt64(3),
            row.GetString(4), row.StringOrNull(5), row.StringOrNull(6), row.StringOrNull(7), row.Time(8)),
        tenant.AccountId, filter.After, filter.Type, filter.RunId, filter.Mode, filter.Limit);
}

internal sealed record LedgerFilter(string? After, string? Type, string? RunId, string? Mode, int Limit);
