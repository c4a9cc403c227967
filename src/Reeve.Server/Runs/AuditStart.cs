using Reeve.Server.Audit;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// Begins the audit of data that is older than it: each account gets its first entry, and each run that has ended one
/// with the head that its log has now.
/// </summary>
internal static class AuditStart
{
    /// <summary>Part of a start. Does nothing once the audit has begun, as in every new data folder.</summary>
    internal static void Prepare(DbSession session, DateTimeOffset at)
    {
        if (session.Exists("SELECT 1 FROM audit_entries LIMIT 1"))
        {
            return;
        }

        foreach (var account in session.List("SELECT id FROM accounts ORDER BY id", static row => row.GetString(0)))
        {
            AuditLog.Append(session, new TenantContext(account), AuditTypes.Begun, account, at);
        }

        var after = "";
        List<(string Id, string Account, byte[]? Head)> page;
        do
        {
            page = session.List("SELECT id, account_id, (SELECT hash FROM run_events e WHERE e.run_id = runs.id "
                + "ORDER BY seq DESC LIMIT 1) FROM runs WHERE finished_at IS NOT NULL AND id > $1 "
                + "ORDER BY id LIMIT 500",
                static row => (row.GetString(0), row.GetString(1), row.BytesOrNull(2)), after);
            foreach (var (id, account, head) in page)
            {
                AuditLog.Append(session, new TenantContext(account), AuditTypes.RunEnded, id, at,
                    RunEnding.HeadOf(head ?? RunEventCodec.ChainStart));
                after = id;
            }
        }
        while (page.Count > 0);
    }
}
