using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Reeve.Bench;

/// <summary>Where and when the figures were taken.</summary>
internal sealed record Machine
{
    public required string Processor { get; init; }

    public required int Cores { get; init; }

    public required double MemoryGigabytes { get; init; }

    public required string Kernel { get; init; }

    public required string DotNet { get; init; }

    public required string Commit { get; init; }

    public required string Date { get; init; }

    internal static async Task<Machine> ReadAsync(string root, TimeProvider time, CancellationToken cancellationToken)
    {
        var processor = FieldOf("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString();
        var memory = FieldOf("/proc/meminfo", "MemTotal")!.Replace("kB", "", StringComparison.Ordinal).Trim();
        var commit = await GitAsync(root, ["rev-parse", "--short=12", "HEAD"], cancellationToken);
        var changes = await GitAsync(root, ["status", "--porcelain", "--untracked-files=no"], cancellationToken);
        return new Machine
        {
            Processor = processor,
            Cores = Environment.ProcessorCount,
            MemoryGigabytes = long.Parse(memory, CultureInfo.InvariantCulture) / 1024.0 / 1024.0,
            Kernel = (await File.ReadAllTextAsync("/proc/sys/kernel/osrelease", cancellationToken)).Trim(),
            DotNet = RuntimeInformation.FrameworkDescription,
            Commit = commit + (changes.Length == 0 ? "" : " with changes"),
            Date = time.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        };
    }

    private static string? FieldOf(string file, string name) => File.ReadLines(file)
        .FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?.Split(':', 2)[1].Trim();

    private static async Task<string> GitAsync(
        string root, string[] arguments, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("git", arguments) { WorkingDirectory = root, RedirectStandardOutput = true };
        using var git = Process.Start(start) ?? throw new BenchException("git did not start.");
        var output = await git.StandardOutput.ReadToEndAsync(cancellationToken);
        await git.WaitForExitAsync(cancellationToken);
        return git.ExitCode == 0 ? output.Trim() : "unknown";
    }
}
