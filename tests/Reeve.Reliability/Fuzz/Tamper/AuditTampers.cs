using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Reeve.Reliability.Simulation;
using Reeve.Server.Audit;
using Reeve.Server.Receipts;
using Reeve.Server.Receipts.Checkpoints;
using Reeve.Server.Storage;

namespace Reeve.Reliability.Fuzz.Tamper;

/// <summary>
/// Edits, removes, swaps, cuts off, adds and moves rows of the audit, its checkpoints and the server's keys; also with
/// the chain made anew, and signed anew with a key of the thief's own.
/// </summary>
internal sealed class AuditTampers(DbSession session, SimRandom random)
{
    private const string EntryKey = "account_id || ' ' || seq";

    private static readonly string[] Tables = ["audit_entries", "audit_checkpoints", "signing_keys"];

    private readonly (string Table, string Column, string Key)[] _cells = [.. Tables.SelectMany(table => session.List(
        $"SELECT name FROM pragma_table_info('{table}')", static row => row.GetString(0))
        .Select(column => (table, column, table == "signing_keys" ? "kid" : EntryKey)))];

    internal string Tamper()
    {
        var what = random.Below(10) switch
        {
            < 4 => Byte(),
            4 => Swap(),
            5 => Delete(),
            6 => CutOff(),
            7 => Add(),
            8 => Forge(),
            _ => Key(),
        };
        if (random.Chance(30) && !what.StartsWith("hash", StringComparison.Ordinal)
            && what.Contains("audit_entries", StringComparison.Ordinal))
        {
            ChainAnew();
            what += ", chain made anew";
        }

        return what;
    }

    /// <summary>A byte of one cell, whatever it is.</summary>
    private string Byte()
    {
        var (table, column, key) = random.Pick(_cells);
        var row = Row(table, key);
        var value = session.Single(string.Intern($"SELECT \"{column}\" FROM {table} WHERE {key} = $1"),
            static row => row.IsDBNull(0) ? null : row.GetValue(0), row);
        object changed = value switch
        {
            long number => number ^ (1L << (20 + random.Below(20))), // Of no other row.
            byte[] { Length: > 0 } bytes => Flip(bytes),
            string { Length: > 0 } text => Flip(text),
            _ => table == "signing_keys" && column == "retired_at" ? 1L
                : column == "secret" ? new byte[32] : "x",
        };
        session.Execute(string.Intern($"UPDATE {table} SET \"{column}\" = $2 WHERE {key} = $1"), row, changed);
        return $"{column} of {table} {row} became {changed}";
    }

    private string Swap()
    {
        var (left, right) = (Row("audit_entries", EntryKey), Row("audit_entries", EntryKey));
        if (left == right)
        {
            return Delete();
        }

        session.Execute("UPDATE audit_entries SET (at, type, key_id, subject, detail) = (SELECT e.at + 1, e.type, "
            + "e.key_id, e.subject, e.detail FROM audit_entries e WHERE e.account_id || ' ' || e.seq = $2) "
            + "WHERE account_id || ' ' || seq = $1", left, right);
        return $"audit_entries {left} replaced by {right}";
    }

    private string Delete()
    {
        var table = random.Pick(Tables);
        var key = table == "signing_keys" ? "kid" : EntryKey;
        var row = Row(table, key);
        session.Execute(string.Intern($"DELETE FROM {table} WHERE {key} = $1"), row);
        if (table == "audit_entries" && random.Chance(50))
        {
            var seq = long.Parse(row.Split(' ')[1], CultureInfo.InvariantCulture);
            session.Execute(
                "UPDATE audit_entries SET seq = -seq WHERE account_id = $1 AND seq > $2", row.Split(' ')[0], seq);
            session.Execute("UPDATE audit_entries SET seq = -seq - 1 WHERE seq < 0");
        }

        return $"{table} {row} deleted";
    }

    /// <summary>The newest entries with their checkpoints, which only those held elsewhere tell.</summary>
    private string CutOff()
    {
        var row = Row("audit_entries", EntryKey).Split(' ');
        var seq = long.Parse(row[1], CultureInfo.InvariantCulture);
        session.Execute("DELETE FROM audit_entries WHERE account_id = $1 AND seq >= $2", row[0], seq);
        session.Execute("DELETE FROM audit_checkpoints WHERE account_id = $1 AND seq >= $2", row[0], seq);
        return $"audit_entries of {row[0]} cut off from {seq} on";
    }

    private string Add()
    {
        var row = Row("audit_entries", EntryKey);
        session.Execute("INSERT INTO audit_entries SELECT account_id, (SELECT max(seq) + 1 FROM audit_entries e "
            + "WHERE e.account_id = audit_entries.account_id), at, type, key_id, subject, detail, hash "
            + "FROM audit_entries WHERE account_id || ' ' || seq = $1", row);
        return $"hash: a copy of {row} added to audit_entries";
    }

    /// <summary>The chain and all checkpoints made anew and signed with another key, which may be listed.</summary>
    private string Forge()
    {
        session.Execute("UPDATE audit_entries SET at = at + 1 WHERE seq = 1");
        ChainAnew();
        using var thief = new ReceiptSigner(RandomNumberGenerator.GetBytes(ReceiptSigner.SeedLength));
        foreach (var (account, seq, _) in CheckpointStore.List(session, null))
        {
            var hash = session.Single("SELECT hash FROM audit_entries WHERE account_id = $1 AND seq = $2",
                static row => row.GetFieldValue<byte[]>(0), account, seq)!;
            var forged = Checkpoint.Sign(thief, account, new AuditHead(seq, hash), DateTimeOffset.UnixEpoch);
            session.Execute("UPDATE audit_checkpoints SET document = $3 WHERE account_id = $1 AND seq = $2",
                account, seq, forged.Document);
        }

        if (random.Chance(50))
        {
            session.Execute("INSERT INTO signing_keys SELECT $1, use, $2, secret, created_at, 1, mac "
                + "FROM signing_keys WHERE use = 'sig' LIMIT 1", thief.KeyId, thief.PublicKey);
        }

        return "all made anew by a thief";
    }

    private string Key()
    {
        using var thief = new ReceiptSigner(RandomNumberGenerator.GetBytes(ReceiptSigner.SeedLength));
        session.Execute("UPDATE signing_keys SET kid = $1, public_key = $2 WHERE use = 'sig'",
            thief.KeyId, thief.PublicKey);
        return "the key that signs replaced";
    }

    private void ChainAnew()
    {
        foreach (var account in session.List(
            "SELECT DISTINCT account_id FROM audit_entries", static row => row.GetString(0)))
        {
            var hash = AuditEntry.ChainStart;
            foreach (var (entry, _) in AuditLog.Read(session, account, 0))
            {
                hash = entry.Hash(hash);
                session.Execute("UPDATE audit_entries SET hash = $3 WHERE account_id = $1 AND seq = $2",
                    account, entry.Seq, hash);
            }
        }
    }

    private string Row(string table, string key) => random.Pick(session.List(
        string.Intern($"SELECT {key} FROM {table} ORDER BY 1"), static row => row.GetString(0)));

    private byte[] Flip(byte[] bytes)
    {
        byte[] changed = [.. bytes];
        changed[random.Below(changed.Length)] ^= (byte)(1 << random.Below(8));
        return changed;
    }

    private string Flip(string text)
    {
        var bytes = Encoding.ASCII.GetBytes(text);
        var at = random.Below(bytes.Length);
        bytes[at] = (byte)(33 + ((bytes[at] - 33 + 1 + random.Below(90)) % 94));
        return Encoding.ASCII.GetString(bytes);
    }
}
