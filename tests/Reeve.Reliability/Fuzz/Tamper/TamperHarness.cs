using System.Diagnostics;
using System.Globalization;
using System.Text;
using Reeve.Reliability.Simulation;
using Reeve.Server.Receipts;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Reliability.Fuzz.Tamper;

/// <summary>
/// R18: genuine receipts, changed in every way, are refused, and what says the same is not; every change of the log,
/// its receipts, the audit and the server's keys in a copy of the database is found. Node's own crypto agrees about
/// the genuine ones.
/// </summary>
internal static class TamperHarness
{
    private const int ProblemsMax = 100;

    /// <summary>Sorting and JSON.stringify are RFC 8785 for objects with such names and doubles.</summary>
    private const string NodeScript = """
        const { createPublicKey, verify } = require('crypto');
        const [, x, ...receipts] = process.argv;
        const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
        const sort = v => v && typeof v === 'object' && !Array.isArray(v)
            ? Object.fromEntries(Object.keys(v).sort().map(k => [k, sort(v[k])])) : v;
        for (const text of receipts) {
            const { signature, ...rest } = JSON.parse(text);
            const signed = Buffer.from(JSON.stringify(sort(rest)));
            console.log(verify(null, signed, key, Buffer.from(signature, 'base64url')));
        }
        """;

    internal static async Task<Score> RunAsync(Trial trial)
    {
        await using var world = await TamperWorld.StartAsync();
        var problems = new List<string>();
        var random = new SimRandom(trial.Seed);
        var verifier = new ReceiptVerifier(world.PublicKey);
        foreach (var receipt in world.Receipts.Where(receipt => !verifier.Verify(receipt).IsValid))
        {
            problems.Add($"a genuine receipt is refused: {Encoding.UTF8.GetString(receipt)}");
        }

        var receipts = trial.Count(test: 3_000, ci: 100_000, bench: 1_000_000);
        var same = TamperReceipts(world, verifier, random, receipts, problems);
        var edits = trial.Count(test: 300, ci: 3_000, bench: 100_000);
        TamperLogs(world, random, edits, problems);
        var node = await AskNodeAsync(world, problems);
        return new Score(receipts + edits, string.Create(CultureInfo.InvariantCulture,
            $"{world.Receipts.Count} genuine receipts; {receipts - same} changed ones, "
            + $"{same} that say the same by RFC 8785 and are accepted; "
            + $"{edits} changes of log, receipts, audit and keys in the database; {node}"),
            problems);
    }

    private static int TamperReceipts(
        TamperWorld world, ReceiptVerifier verifier, SimRandom random, int count, List<string> problems)
    {
        var same = 0;
        for (var i = 0; i < count && problems.Count < ProblemsMax; i++)
        {
            var genuine = random.Pick(world.Receipts);
            var changed = ReceiptTampers.Tamper(random, genuine, world.Receipts);
            var saysTheSame = ReceiptTampers.SayTheSame(genuine, changed);
            same += saysTheSame ? 1 : 0;
            var verdict = verifier.Verify(changed);
            if (verdict.IsValid && !saysTheSame)
            {
                problems.Add($"change {i} is accepted: {Encoding.UTF8.GetString(changed)}");
            }
            else if (!verdict.IsValid && saysTheSame)
            {
                problems.Add($"change {i} says the same and is refused as {verdict.Reason}: "
                    + Encoding.UTF8.GetString(changed));
            }
        }

        return same;
    }

    private static void TamperLogs(
        TamperWorld world, SimRandom random, int count, List<string> problems)
    {
        using var session = world.OpenCopy();
        problems.AddRange(Check(session, world).Select(static one => $"nothing was changed yet: {one}"));
        var tampers = new LogTampers(session, random);
        var audit = new AuditTampers(session, random);
        for (var i = 0; i < count && problems.Count < ProblemsMax; i++)
        {
            session.Begin();
            var what = random.Chance(40) ? audit.Tamper() : tampers.Tamper();
            if (Check(session, world).Count == 0)
            {
                problems.Add($"change {i} was not found: {what}");
            }

            session.Rollback();
        }
    }

    /// <summary>All but that the triggers are gone, which is found of itself and would hide the rest.</summary>
    private static List<Violation> Check(DbSession session, TamperWorld world) =>
        [.. new Verifier(world.Master, world.Checkpoints).Check(session)
            .Where(static one => !one.Subject.StartsWith("trigger ", StringComparison.Ordinal))];

    private static async Task<string> AskNodeAsync(TamperWorld world, List<string> problems)
    {
        var key = System.Buffers.Text.Base64Url.EncodeToString(world.PublicKey);
        var start = new ProcessStartInfo(
            "node", ["-e", NodeScript, key, .. world.Receipts.Select(Encoding.UTF8.GetString)])
        {
            RedirectStandardOutput = true,
        };
        try
        {
            using var node = Process.Start(start)!;
            var said = (await node.StandardOutput.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            if (said.Length != world.Receipts.Count || said.Any(static line => line != "true"))
            {
                problems.Add($"Node says {string.Join(' ', said)} of {world.Receipts.Count} genuine receipts");
            }

            return $"Node's crypto accepts {said.Count(static line => line == "true")} genuine ones";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "not asked: Node, which is not on this machine";
        }
    }
}
