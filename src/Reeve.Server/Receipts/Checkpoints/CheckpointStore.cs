using Reeve.Server.Storage;

namespace Reeve.Server.Receipts.Checkpoints;

/// <summary>All SQL of checkpoints.</summary>
internal static class CheckpointStore
{
    internal static void Insert(DbSession session, Checkpoint checkpoint) => session.Execute(
        "INSERT INTO audit_checkpoints (account_id, seq, document) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        checkpoint.AccountId, checkpoint.Seq, checkpoint.Document);

    internal static string? Newest(DbSession session, string accountId) => session.Single(
        "SELECT document FROM audit_checkpoints WHERE account_id = $1 ORDER BY seq DESC LIMIT 1",
        static row => row.StringOrNull(0) ?? "", accountId);

    /// <summary>All, or those of one account, oldest first.</summary>
    internal static List<(string AccountId, long Seq, string Document)> List(DbSession session, string? accountId) =>
        session.List("SELECT account_id, seq, document FROM audit_checkpoints "
            + "WHERE account_id = coalesce($1, account_id) ORDER BY account_id, seq",
            static row => (row.StringOrNull(0) ?? "", row.LongOrNull(1) ?? 0, row.StringOrNull(2) ?? ""), accountId);
}
