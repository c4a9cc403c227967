using System.Text.Json;
using Reeve.Server.Audit;
using Reeve.Server.Receipts;
using Reeve.Server.Receipts.Checkpoints;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// Recomputes the chain of each account, and holds it against the runs, the checkpoints in the file, and those that
/// were kept elsewhere.
/// </summary>
/// <remarks>
/// Who can write the file can cut the newest entries off and the checkpoints with them, as far as no run is missed.
/// Only a checkpoint held elsewhere tells of that, and of a history that the owner of all keys wrote anew.
/// </remarks>
internal sealed class AuditCheck(
    DbSession session, ReceiptVerifier? signatures, IReadOnlyList<string> held)
{
    private readonly List<Violation> _problems = [];

    internal IReadOnlyList<Violation> Problems()
    {
        if (!SigningKeyStore.IsThere(session))
        {
            foreach (var document in held)
            {
                Expect(false, "checkpoint", $"there is no audit that it could be of: {document}");
            }

            return _problems;
        }

        var checkpoints = CheckpointStore.List(session, null);
        CheckHeld([.. checkpoints.Select(static one => one.Document)]);
        var claims = checkpoints.ToLookup(static one => one.AccountId);
        var accounts = AuditLog.Accounts(session);
        foreach (var account in accounts)
        {
            var signed = new Dictionary<long, string>();
            foreach (var (_, seq, document) in claims[account])
            {
                signed[seq] = document;
            }

            CheckChain(account, signed);
        }

        foreach (var stray in claims.Select(static one => one.Key).Except(accounts))
        {
            Expect(false, stray, "it has checkpoints and no audit");
        }

        CheckAccounts(accounts);
        return _problems;
    }

    // A checkpoint is signed with its number, so the one in the file has to be the same to the letter.
    private void CheckHeld(HashSet<string> stored)
    {
        foreach (var document in held)
        {
            var checkpoint = Checkpoint.Read(document);
            Expect(checkpoint is not null, "checkpoint", $"a line that was given is none: {document}");
            if (checkpoint is null)
            {
                continue;
            }

            var problem = signatures is null ? null : checkpoint.Problem(signatures);
            Expect(problem is null, checkpoint.AccountId,
                $"the checkpoint at {checkpoint.Seq} that was given is not of this server: {problem}");
            Expect(stored.Contains(document), checkpoint.AccountId,
                $"its checkpoint at {checkpoint.Seq} that was given is not in the file");
        }
    }

    private void CheckChain(string account, Dictionary<long, string> checkpoints)
    {
        var head = new AuditHead(0, AuditEntry.ChainStart);
        var ended = new HashSet<string>(StringComparer.Ordinal);
        List<(AuditEntry Entry, byte[] Hash)> page;
        do
        {
            page = AuditLog.Read(session, account, head.Seq);
            foreach (var (entry, hash) in page)
            {
                Expect(entry.Seq == head.Seq + 1, account, $"audit entry {head.Seq + 1} is missing before {entry.Seq}");
                Expect(entry.Seq > 1 || entry.Type is AuditTypes.AccountCreated or AuditTypes.Begun, account,
                    "its audit does not begin with the account");
                Expect(hash.AsSpan().SequenceEqual(entry.Hash(head.Hash)), account,
                    $"audit entry {entry.Seq} is not as it was written");
                head = new AuditHead(entry.Seq, hash);
                CheckEntry(entry, ended);
                if (checkpoints.Remove(entry.Seq, out var document))
                {
                    CheckCheckpoint(account, head, document);
                }
            }
        }
        while (page.Count > 0);

        foreach (var seq in checkpoints.Keys)
        {
            Expect(false, account, $"its audit has a checkpoint at {seq} and no such entry");
        }

        CheckRuns(account, ended);
    }

    private void CheckEntry(AuditEntry entry, HashSet<string> ended)
    {
        switch (entry.Type)
        {
            case AuditTypes.RunEnded:
                Expect(ended.Add(entry.Subject), entry.Subject, "the audit says twice that it ended");
                var head = session.Single("SELECT e.hash FROM run_events e JOIN runs r ON r.id = e.run_id "
                    + "WHERE r.id = $1 AND r.account_id = $2 AND r.finished_at IS NOT NULL ORDER BY e.seq DESC LIMIT 1",
                    static row => row.BytesOrNull(0), entry.Subject, entry.AccountId);
                Expect(head is not null && entry.Detail == RunEnding.HeadOf(head), entry.Subject,
                    "the audit names another log head");
                break;
            case AuditTypes.SigningKeyRotated:
                foreach (var kid in KeysOf(entry))
                {
                    Expect(session.Exists("SELECT 1 FROM signing_keys WHERE kid = $1", kid), kid,
                        "the audit names a key of the server that is not there");
                }

                break;
            default:
                break;
        }
    }

    /// <summary>The keys that a rotation made and retired; a detail that was edited names none.</summary>
    private static List<string> KeysOf(AuditEntry rotation)
    {
        try
        {
            using var detail = JsonDocument.Parse(rotation.Detail);
            return [rotation.Subject, .. detail.RootElement.EnumerateObject().Select(
                static member => member.Value.GetString() ?? "")];
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return [];
        }
    }

    private void CheckCheckpoint(string account, AuditHead head, string document)
    {
        var checkpoint = Checkpoint.Read(document);
        Expect(checkpoint is not null && checkpoint.AccountId == account && checkpoint.Seq == head.Seq, account,
            $"its checkpoint at {head.Seq} says something else");
        if (checkpoint is null)
        {
            return;
        }

        Expect(checkpoint.Head == Convert.ToHexStringLower(head.Hash), account,
            $"its audit up to {head.Seq} is not the one that was signed");
        var problem = signatures is null ? null : checkpoint.Problem(signatures);
        Expect(problem is null, account, $"its checkpoint at {head.Seq} is not as it was signed: {problem}");
    }

    private void CheckRuns(string account, HashSet<string> ended)
    {
        foreach (var run in session.List(
            "SELECT id FROM runs WHERE account_id = $1 AND finished_at IS NOT NULL", static row => row.GetString(0),
            account).Where(run => !ended.Contains(run)))
        {
            Expect(false, run, "the audit does not say that it ended");
        }
    }

    private void CheckAccounts(List<string> audited)
    {
        var accounts = session.List("SELECT id FROM accounts", static row => row.GetString(0));
        foreach (var account in accounts.Except(audited))
        {
            Expect(false, account, "the account has no audit");
        }

        foreach (var account in audited.Except(accounts))
        {
            Expect(false, account, "an audit belongs to no account");
        }
    }

    private void Expect(bool holds, string subject, string problem)
    {
        if (!holds)
        {
            _problems.Add(new Violation("I12", subject, problem));
        }
    }
}
