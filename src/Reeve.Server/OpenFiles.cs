using System.Globalization;

namespace Reeve.Server;

/// <summary>How many files and connections this process may have open at once.</summary>
internal static class OpenFiles
{
    private const string Limits = "/proc/self/limits";
    private const string Line = "Max open files";

    /// <summary>The bound; null where the system does not tell, which is everywhere but on Linux.</summary>
    internal static long? Max() =>
        OperatingSystem.IsLinux() && File.Exists(Limits) && File.ReadLines(Limits)
            .FirstOrDefault(static line => line.StartsWith(Line, StringComparison.Ordinal)) is { } found
            && long.TryParse(found[Line.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0],
                CultureInfo.InvariantCulture, out var max)
            ? max
            : null;
}
