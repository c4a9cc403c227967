using System.Diagnostics;
using System.Text;

namespace Reeve.Reliability.Simulation;

/// <summary>A wilful bug: a place in the server's source, what stands there, and what stands there instead.</summary>
internal sealed record PlantedBug(string Name, string What, string Invariant, string File, string Sound, string Broken);

/// <summary>
/// The server built once more from its source with wilful bugs in it, one of which a variable switches on: what shows
/// that the simulator would see such a bug.
/// </summary>
internal sealed class PlantedBugs : IDisposable
{
    private const string Variable = "REEVE_PLANTED_BUG";

    internal static readonly IReadOnlyList<PlantedBug> All =
    [
        new("settle_twice", "a call is charged twice", "I5", "Credits/CreditLedger.cs",
            "                closing.Hold - due, closing.Hold, payer.AccountId, payer.Mode)!.Value;",
            "                closing.Hold - (@settle_twice@ ? 2 * due : due), closing.Hold, payer.AccountId, "
            + "payer.Mode)!.Value;"),
        new("leak_hold", "a cancelled call keeps its hold", "I6", "Runs/RunEnding.cs",
            "        if (end is not null && ended is { } open)",
            "        if (@leak_hold@ && (end?.Outcome == \"cancelled\" || after.Any(one => one is RunCancelled)))\n"
            + "        {\n            end = null;\n        }\n\n"
            + "        if (end is not null && ended is { } open)"),
        new("skip_epoch", "an owner that lost the run still writes", "I9", "Runs/RunLog.cs",
            "            \"SELECT 1 FROM runs WHERE id = $1 AND epoch = $2 AND finished_at IS NULL\", "
            + "run.RunId, run.Epoch))",
            "            @skip_epoch@ ? \"SELECT 1 FROM runs WHERE id = $1 AND $2 > 0\"\n"
            + "            : \"SELECT 1 FROM runs WHERE id = $1 AND epoch = $2 AND finished_at IS NULL\", "
            + "run.RunId, run.Epoch))"),
        new("send_early", "events are sent before they are durable", "I4", "Runs/RunLog.cs",
            "        var write = new Append(failpoints, run, events, alongside, null);",
            "        if (@send_early@)\n        {\n            run.Publish(events);\n        }\n\n"
            + "        var write = new Append(failpoints, run, events, alongside, null);"),
        new("send_early", "", "", "Runs/RunLog.cs",
            "            run.Publish(Events);",
            "            if (!@send_early@ || decide is not null)\n            {\n"
            + "                run.Publish(Events);\n            }\n"),
        new("repeat_tool", "an unsafe tool call is made again after a crash", "I8", "Runs/ToolStep.cs",
            "        if (call.IsOutcomeUnknown)",
            "        if (call.IsOutcomeUnknown && !@repeat_tool@)"),
        new("lazy_sync", "commits are not flushed", "I", "Storage/Database.cs",
            "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; \"",
            "PRAGMA synchronous=\" + (@lazy_sync@ ? \"NORMAL\" : \"FULL\") + \"; PRAGMA secure_delete=ON; \""),
        new("lazy_sync", "", "", "Storage/SelfCheck.cs",
            "        Require(session.Count(\"PRAGMA synchronous\") == SynchronousFull,",
            "        Require(@lazy_sync@ || session.Count(\"PRAGMA synchronous\") == SynchronousFull,"),
        new("no_reset", "what was said before a crash is said again without a reset", "I4", "Runs/RunRecovery.cs",
            "state.OpenText.Length > 0 ? [", "state.OpenText.Length > 0 && !@no_reset@ ? ["),
        new("forget_hedge", "of two calls that a crash cut off one is never closed", "I6", "Runs/RunRecovery.cs",
            "        if (state.OpenCall is { } hedge)", "        if (state.OpenCall is { } hedge && !@forget_hedge@)"),
        new("early_poison", "a run is given up after its first crash", "I13", "Runs/RunRecovery.cs",
            "state.RecoveryCount > AttemptsMax)", "state.RecoveryCount > (@early_poison@ ? 0 : AttemptsMax))"),
        new("forget_key", "a request with a key is made twice", "I1", "Runs/RunAdmission.cs",
            "        if (start.Idempotency is { } scope)\n",
            "        if (start.Idempotency is { } scope && !@forget_key@)\n"),
        new("lose_document", "a document is acknowledged and not kept", "I1", "Retrieval/Documents.cs",
            "            var inserted = Insert(session, tenant, document, chunks",
            "            var inserted = @lose_document@ ? new DocumentAddition(document, Created: true)\n"
            + "                : Insert(session, tenant, document, chunks"),
        new("deaf_cancel", "a cancel is acknowledged and the run goes on", "I4", "Runs/RunHost.cs",
            "        var now = time.GetUtcNow();\n        if (!await database",
            "        if (@deaf_cancel@)\n        {\n            return false;\n        }\n\n"
            + "        var now = time.GetUtcNow();\n        if (!await database"),
        new("forget_audit", "a run ends and the audit does not say so", "I12", "Runs/RunEnding.cs",
            "                checkpoints.Note(", "                if (!@forget_audit@) checkpoints.Note("),
        new("fork_audit", "an entry of the audit does not follow from the one before", "I12", "Audit/AuditLog.cs",
            "entry.Hash(head is null ?", "entry.Hash(head is null || @fork_audit@ ?"),
    ];

    private readonly string _folder;

    private PlantedBugs(string folder) => _folder = folder;

    /// <summary>Builds the server with every bug in it, all of them off.</summary>
    internal static async Task<PlantedBugs> BuildAsync(string root)
    {
        var folder = Directory.CreateTempSubdirectory("reeve-planted-").FullName;
        var bugs = new PlantedBugs(folder);
        try
        {
            await bugs.PlantAsync(root);
            return bugs;
        }
        catch
        {
            bugs.Dispose();
            throw;
        }
    }

    /// <summary>Plays histories on the server with one bug on; answers whether and how they were red.</summary>
    internal async Task<(bool IsRed, string Output)> PlayAsync(string? bug, int histories)
    {
        var (code, output) = await RunAsync("dotnet",
            [Path.Combine(_folder, "bin", "Reeve.Reliability.dll"), "histories", "1", $"{histories}"], bug);
        return (code != 0, output);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task PlantAsync(string root)
    {
        var source = Path.Combine(_folder, "src", "Reeve.Server");
        Copy(Path.Combine(root, "src", "Reeve.Server"), source, static _ => true);
        foreach (var file in (string[])["Directory.Build.props", "Directory.Packages.props", "BannedSymbols.txt",
            "global.json"])
        {
            File.Copy(Path.Combine(root, file), Path.Combine(_folder, file));
        }

        foreach (var bug in All)
        {
            var path = Path.Combine(source, bug.File);
            var text = await File.ReadAllTextAsync(path);
            var parts = text.Split(bug.Sound);
            if (parts.Length != 2)
            {
                throw new InvalidOperationException(
                    $"{bug.File} has the place for the bug {bug.Name} {parts.Length - 1} times: {bug.Sound}");
            }

            await File.WriteAllTextAsync(path, string.Join(bug.Broken.Replace($"@{bug.Name}@",
                $"(System.Environment.GetEnvironmentVariable(\"{Variable}\") == \"{bug.Name}\")",
                StringComparison.Ordinal), parts));
        }

        var (code, output) = await RunAsync("dotnet",
        [
            "build", Path.Combine(source, "Reeve.Server.csproj"), "-c", "Release", "-v", "quiet", "--nologo",
            "-p:RunAnalyzers=false", "-p:EnforceCodeStyleInBuild=false", "-p:TreatWarningsAsErrors=false",
            "-o", Path.Combine(_folder, "server"),
        ], null);
        if (code != 0)
        {
            throw new InvalidOperationException($"The server with planted bugs does not build: {output}");
        }

        Copy(AppContext.BaseDirectory, Path.Combine(_folder, "bin"), static _ => true);
        File.Copy(Path.Combine(_folder, "server", "Reeve.Server.dll"), Path.Combine(_folder, "bin", "Reeve.Server.dll"),
            overwrite: true);
    }

    private static void Copy(string from, string to, Func<string, bool> isWanted)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories).Where(isWanted))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }

    private static async Task<(int Code, string Output)> RunAsync(string program, string[] arguments, string? bug)
    {
        using var process = new Process
        {
            StartInfo = new ProcessStartInfo(program, arguments)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        process.StartInfo.Environment[Variable] = bug ?? "";
        process.Start();
        var errors = process.StandardError.ReadToEndAsync();
        var output = new StringBuilder(await process.StandardOutput.ReadToEndAsync()).Append(await errors);
        await process.WaitForExitAsync();
        return (process.ExitCode, output.ToString());
    }
}
