using System.Diagnostics;
using System.Globalization;

namespace Reeve.Mutation;

/// <summary>Runs test classes of the mutated build in a process of their own.</summary>
internal sealed class TestRunner(string assembly) : IDisposable
{
    // What a killed process leaves behind goes with this folder.
    private readonly string _temporary = Directory.CreateTempSubdirectory("reeve-mutation-").FullName;

    internal enum Outcome
    {
        Passed,
        Failed,
        TimedOut,
    }

    /// <summary>Which mutants a class comes by, and how long it takes.</summary>
    internal async Task<(HashSet<int> Seen, TimeSpan Duration)> TraceAsync(string name)
    {
        var report = Path.GetTempFileName();
        try
        {
            var started = Stopwatch.GetTimestamp();
            var outcome = await RunAsync([name], 0, TimeSpan.FromMinutes(5), report);
            if (outcome != Outcome.Passed)
            {
                throw new InvalidOperationException($"{name} {outcome} without a mutant.");
            }

            var seen = await File.ReadAllLinesAsync(report);
            return ([.. seen.Select(static line => int.Parse(line, CultureInfo.InvariantCulture))],
                Stopwatch.GetElapsedTime(started));
        }
        finally
        {
            File.Delete(report);
        }
    }

    internal async Task<Outcome> RunAsync(
        IEnumerable<string> classes, int mutant, TimeSpan timeout, string? report = null)
    {
        var info = new ProcessStartInfo("dotnet",
            [assembly, "-noColor", "-noLogo", "-stopOnFail", .. classes.SelectMany(static name =>
                (string[])["-class", "Reeve.Server.Tests." + name])])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        info.Environment["TMPDIR"] = _temporary;
        info.Environment["DOTNET_TieredPGO"] = "0"; // These processes live for seconds.
        info.Environment[MutantTree.ActiveVariable] = $"{mutant}";
        if (report is not null)
        {
            info.Environment[MutantTree.SeenVariable] = report;
        }

        using var process = Process.Start(info)!;
        using var limit = new CancellationTokenSource(timeout);
        var output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
            return Outcome.TimedOut;
        }

        await errors;
        var text = await output;
        return process.ExitCode != 0
            ? Outcome.Failed
            : text.Contains("Total: 0,", StringComparison.Ordinal)
                ? throw new InvalidOperationException("No test ran: " + string.Join(", ", classes))
                : Outcome.Passed;
    }

    public void Dispose() => Directory.Delete(_temporary, recursive: true);
}
