using Reeve.Reliability.Load;
using Reeve.Server.Tests.Process;

namespace Reeve.Reliability.Disk;

/// <summary>A folder that cannot be written: the start is refused in one sentence; verify still works.</summary>
internal static class ReadOnlyDisk
{
    internal static async Task<(string Figures, List<string> Problems)> RunAsync()
    {
        var problems = new List<string>();
        await using var disk = await SmallDisk.MountAsync(16);
        using var model = new RawModel(TimeSpan.Zero);
        await using var server = new LoadedServer(model, folder: disk.Folder);
        await server.StartAsync();
        await server.Process.TerminateAsync();

        await disk.RemountAsync("ro");
        var (code, _, errors) = await ReeveProcess.RunAsync(
            server.Folder, ["serve", "--data", Path.Combine(server.Folder, "data"), "--urls", "http://127.0.0.1:0"]);
        if (code != 1 || errors.Count(static one => one == '\n') != 1
            || !errors.Contains("cannot be written", StringComparison.Ordinal))
        {
            problems.Add($"a start on a read-only disk ended with {code} and said: {errors}");
        }

        if (await server.VerifyAsync() is { } complaint)
        {
            problems.Add($"on a read-only disk, {complaint}");
        }

        await disk.RemountAsync("rw");
        await server.StartAsync();
        if (await server.Process.TerminateAsync() != 0)
        {
            problems.Add("after the disk could be written again the server did not end well");
        }

        return ("read-only disk refused", problems);
    }
}
