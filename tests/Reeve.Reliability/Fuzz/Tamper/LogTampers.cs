using System.Globalization;
using System.Security.Cryptography;
using Reeve.Reliability.Simulation;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Reliability.Fuzz.Tamper;

/// <summary>
/// Edits, removes, swaps, cuts off, adds and moves rows of the run log and receipts, also with every hash of the chain
/// made anew, as somebody would who can write the database and does not have the key.
/// </summary>
internal sealed class LogTampers(DbSession session, SimRandom random)
{
    private readonly List<(string Run, long Count)> _runs = session.List(
        "SELECT run_id, count(*) FROM run_events GROUP BY run_id ORDER BY run_id",
        static row => (row.GetString(0), row.GetInt64(1)));

    /// <summary>Changes something and says what.</summary>
    internal string Tamper()
    {
        var (run, count) = random.Pick(_runs);
        var seq = 1 + random.Below((int)count);
        var what = random.Below(13) switch
        {
            0 => Payload(run, seq),
            1 => Edit(run, seq, "type", random.Pick(["message.delta", "run.completed", "run.failed", "not.known"])),
            2 => Edit(run, seq, "at", (long)random.Below(2_000_000_000) * 1_000),
            3 => Edit(run, seq, "epoch", 1 + random.Below(9)),
            4 => Edit(run, seq, random.Chance(50) ? "hash" : "payload_sha256", RandomNumbers(32)),
            5 => Edit(run, seq, "account_id", "acct_06F7557C5CM18FNXB2V5D4V72R"),
            6 => Erase(run, seq),
            7 => Delete(run, seq),
            8 => CutOff(run, seq),
            9 => Swap(run, seq, 1 + random.Below((int)count)),
            10 => Add(run, count),
            11 => Move(run, seq),
            _ => Receipt(run),
        };
        // A chain made anew would only put back the hash that was changed.
        if (random.Chance(40) && !what.StartsWith("receipt", StringComparison.Ordinal)
            && !what.StartsWith("hash", StringComparison.Ordinal)
            && !what.StartsWith("payload_sha256", StringComparison.Ordinal))
        {
            ChainAnew(run);
            what += ", chain made anew";
        }

        return $"{run}: {what}";
    }

    private string Payload(string run, int seq)
    {
        var payload = session.Single("SELECT payload FROM run_events WHERE run_id = $1 AND seq = $2",
            static row => row.GetFieldValue<byte[]>(0), run, seq)!;
        payload[random.Below(payload.Length)] ^= (byte)(1 << random.Below(8));
        session.Execute("UPDATE run_events SET payload = $3 WHERE run_id = $1 AND seq = $2", run, seq, payload);
        return $"a bit of the payload of event {seq}";
    }

    private string Edit(string run, int seq, string column, object value)
    {
        // One text a column, since a session keeps its statements by their text.
        var changed = session.Execute(string.Intern(
            $"UPDATE run_events SET {column} = $3 WHERE run_id = $1 AND seq = $2 AND {column} IS NOT $3"),
            run, seq, value);
        return changed == 1 ? $"{column} of event {seq} became {value}" : Delete(run, seq);
    }

    private string Erase(string run, int seq)
    {
        session.Execute("UPDATE run_events SET payload = NULL WHERE run_id = $1 AND seq = $2", run, seq);
        return $"the payload of event {seq} erased";
    }

    private string Delete(string run, int seq)
    {
        session.Execute("DELETE FROM run_events WHERE run_id = $1 AND seq = $2", run, seq);
        if (random.Chance(50))
        {
            session.Execute("UPDATE run_events SET seq = -seq WHERE run_id = $1 AND seq > $2", run, seq);
            session.Execute("UPDATE run_events SET seq = -seq - 1 WHERE run_id = $1 AND seq < 0", run);
            return $"event {seq} deleted and the gap closed";
        }

        return $"event {seq} deleted";
    }

    private string CutOff(string run, int seq)
    {
        session.Execute("DELETE FROM run_events WHERE run_id = $1 AND seq >= $2", run, seq);
        return $"cut off from event {seq} on";
    }

    private string Swap(string run, int left, int right)
    {
        if (left == right)
        {
            return Delete(run, left);
        }

        session.Execute("UPDATE run_events SET seq = -1 WHERE run_id = $1 AND seq = $2", run, left);
        session.Execute("UPDATE run_events SET seq = $3 WHERE run_id = $1 AND seq = $2", run, right, left);
        session.Execute("UPDATE run_events SET seq = $2 WHERE run_id = $1 AND seq = -1", run, right);
        return $"events {left} and {right} swapped";
    }

    private string Add(string run, long count)
    {
        session.Execute("INSERT INTO run_events SELECT run_id, $2, account_id, epoch, type, at, payload, "
            + "payload_sha256, hash FROM run_events WHERE run_id = $1 AND seq = $3",
            run, count + 1, 1 + random.Below((int)count));
        return "an event added";
    }

    private string Move(string run, int seq)
    {
        var (other, _) = random.Pick(_runs);
        if (other == run)
        {
            return CutOff(run, seq);
        }

        session.Execute("UPDATE run_events SET (type, at, epoch, payload, payload_sha256) = "
            + "(SELECT type, at + 1, epoch, payload, payload_sha256 FROM run_events WHERE run_id = $3 AND seq = 1) "
            + "WHERE run_id = $1 AND seq = $2", run, seq, other);
        return $"event {seq} replaced by the first of {other}";
    }

    private string Receipt(string run)
    {
        switch (random.Below(4))
        {
            case 0:
                session.Execute("DELETE FROM receipts WHERE run_id = $1", run);
                return "receipt deleted";
            case 1:
                session.Execute("DELETE FROM run_events WHERE run_id = $1", run);
                session.Execute("DELETE FROM runs WHERE id = $1", run);
                return "receipt and bills left of a run that was deleted";
            case 2:
                var (other, _) = random.Pick(_runs.Where(one => one.Run != run).ToList());
                session.Execute("UPDATE receipts SET document = (SELECT document FROM receipts WHERE run_id = $2) "
                    + "WHERE run_id = $1", run, other);
                return $"receipt replaced by that of {other}";
            default:
                var document = session.Single("SELECT document FROM receipts WHERE run_id = $1",
                    static row => row.GetString(0), run)!;
                var at = random.Below(document.Length);
                var letter = (char)('0' + (document[at] - '0' + 1 + random.Below(8)) % 75);
                session.Execute("UPDATE receipts SET document = $2 WHERE run_id = $1", run,
                    $"{document[..at]}{(letter == document[at] ? '!' : letter)}{document[(at + 1)..]}");
                return string.Create(CultureInfo.InvariantCulture, $"receipt changed at {at}");
        }
    }

    /// <summary>Hashes every payload and links every event, so that the chain holds together again.</summary>
    private void ChainAnew(string run)
    {
        var hash = RunEventCodec.ChainStart;
        foreach (var one in session.List(
            "SELECT seq, epoch, type, at, payload, payload_sha256 FROM run_events WHERE run_id = $1 ORDER BY seq",
            static row => (Seq: row.GetInt64(0), Epoch: row.GetInt32(1), Type: row.GetString(2), At: row.GetInt64(3),
                Payload: row.BytesOrNull(4), Sha256: row.GetFieldValue<byte[]>(5)), run))
        {
            var sha256 = one.Payload is null ? one.Sha256 : SHA256.HashData(one.Payload);
            hash = RunEventCodec.Chain(hash, run, one.Seq, one.Epoch, one.Type, one.At, sha256);
            session.Execute("UPDATE run_events SET hash = $3, payload_sha256 = $4 WHERE run_id = $1 AND seq = $2",
                run, one.Seq, hash, sha256);
        }
    }

    private byte[] RandomNumbers(int count)
    {
        var bytes = new byte[count];
        for (var i = 0; i < count; i++)
        {
            bytes[i] = (byte)random.Next();
        }

        return bytes;
    }
}
