using System.Globalization;

namespace Reeve.Reliability.Soak;

/// <summary>What a process holds at one moment, as the kernel counts it.</summary>
internal sealed record ProcessSample(TimeSpan At, double ResidentMebibytes, int Handles, int Threads)
{
    internal static ProcessSample Take(int processId, TimeSpan at)
    {
        var status = File.ReadAllLines($"/proc/{processId}/status");
        return new ProcessSample(
            at, Number("VmRSS:") / 1024.0, Directory.GetFiles($"/proc/{processId}/fd").Length, (int)Number("Threads:"));

        long Number(string name) => long.Parse(
            status.First(line => line.StartsWith(name, StringComparison.Ordinal))
                .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
