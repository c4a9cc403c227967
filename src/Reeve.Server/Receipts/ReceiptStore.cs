using Reeve.Server.Storage;

namespace Reeve.Server.Receipts;

/// <summary>Receipts as the JSON that was signed; one for each run, kept when its content goes.</summary>
internal static class ReceiptStore
{
    /// <summary>The receipt of an encrypted run is too: the hashes of a short input or output would tell it.</summary>
    internal static void Insert(DbSession session, TenantContext tenant, string id, string runId, string document,
        bool isSealed, DateTimeOffset issuedAt) =>
        session.Execute("INSERT INTO receipts (id, account_id, run_id, document, created_at) "
            + "VALUES ($1, $2, $3, $4, $5)", id, tenant.AccountId, runId,
            session.Stored(isSealed, tenant, ContentColumns.Receipt, id, document), issuedAt.ToUnixTimeMilliseconds());

    /// <summary>Null also while the run has not ended: the row comes with its last event.</summary>
    internal static string? Find(DbSession session, TenantContext tenant, string id) => session.Single(
        "SELECT document FROM receipts WHERE id = $1 AND account_id = $2",
        row => session.Text(row, 0, tenant, ContentColumns.Receipt, id), id, tenant.AccountId);

    /// <summary>What the row says beside the document, whose copy it is.</summary>
    internal static (string RunId, long CreatedAt) Claims(DbSession session, string id) => session.Single(
        "SELECT run_id, created_at FROM receipts WHERE id = $1", static row => (row.GetString(0), row.GetInt64(1)), id);

    internal static string? FindByRun(DbSession session, TenantContext tenant, string runId) => session.Single(
        "SELECT document, id FROM receipts WHERE account_id = $2 "
        + "AND id = (SELECT receipt_id FROM runs WHERE id = $1 AND account_id = $2)",
        row => session.Text(row, 0, tenant, ContentColumns.Receipt, row.GetString(1)), runId, tenant.AccountId);
}
