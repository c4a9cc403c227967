using Reeve.Server.Tests;

namespace Reeve.Reliability.Disk;

/// <summary>
/// A library that stands between a server and its disk, compiled here from <c>disk_faults.c</c>; what it does can be
/// changed while the server runs.
/// </summary>
internal sealed class DiskFaults : IDisposable
{
    private readonly string _folder;

    private DiskFaults(string folder) => _folder = folder;

    private string Library => Path.Combine(_folder, "disk_faults.so");

    private string Control => Path.Combine(_folder, "control");

    internal (string Name, string Value)[] Environment => [("LD_PRELOAD", Library), ("DISK_FAULTS", Control)];

    /// <summary>Null with the reason: there is no compiler here.</summary>
    internal static async Task<(DiskFaults? Faults, string? Missing)> CompileAsync()
    {
        var faults = new DiskFaults(TestServer.NewFolder());
        var source = Path.Combine(AppContext.BaseDirectory, "Disk", "disk_faults.c");
        if (await Command.RunAsync("cc", "-shared", "-fPIC", "-O2", "-o", faults.Library, source, "-ldl")
            is { } complaint)
        {
            faults.Dispose();
            return (null, $"no C compiler: {complaint}");
        }

        faults.Set("");
        return (faults, null);
    }

    /// <param name="rule">As disk_faults.c describes it; nothing is meant by the empty text.</param>
    internal void Set(string rule)
    {
        // Renamed into place, so that nobody reads half of it.
        File.WriteAllText(Control + ".new", rule);
        File.Move(Control + ".new", Control, overwrite: true);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
