using System.Globalization;
using Reeve.Reliability.Load;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Process;

namespace Reeve.Reliability.Disk;

/// <summary>
/// A disk that is filled up under load, twice: once it gets room again while the server runs, once the server is
/// stopped (its last checkpoint finds no room) and cannot start before there is room.
/// </summary>
internal static class FullDisk
{
    private const int Mebibytes = 24;

    internal static async Task<(string Figures, List<string> Problems)> RunAsync(string name)
    {
        await using var disk = await SmallDisk.MountAsync(Mebibytes);
        using var model = new RawModel(TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(10));
        await using var server = new LoadedServer(model, folder: disk.Folder);
        await server.StartAsync();
        using var load = new DiskLoad(server, name);
        await load.ProgressAsync(10);

        disk.Fill();
        await Eventually.TrueAsync(() => load.TooFull >= 10);
        await load.ExpectHealthAsync("degraded", 507);
        disk.Free();
        await load.ExpectHealthAsync("live", 200);
        await load.ProgressAsync(10);

        disk.Fill();
        var before = load.TooFull;
        await Eventually.TrueAsync(() => load.TooFull >= before + 10);
        var status = await server.Process.TerminateAsync();
        if (status != 0)
        {
            load.Problems.Enqueue($"on the full disk it ended with {status}: {server.Process.Errors}");
        }

        disk.Fill(); // What the end of the server gave back.
        var (code, _, errors) = await ReeveProcess.RunAsync(
            server.Folder, ["serve", "--data", Path.Combine(server.Folder, "data"), "--urls", "http://127.0.0.1:0"]);
        if (code != 1 || !errors.Contains("full", StringComparison.Ordinal) || errors.Count(c => c == '\n') != 1)
        {
            load.Problems.Enqueue($"a start on the full disk ended with {code} and said: {errors}");
        }

        disk.Free();
        await server.StartAsync();
        await load.ProgressAsync(10);
        await load.FinishAsync();
        await load.CheckAsync();
        var memory = server.PeakMebibytes();
        await server.KillAsync();
        if (await server.VerifyAsync() is { } complaint)
        {
            load.Problems.Enqueue(complaint);
        }

        return (string.Create(CultureInfo.InvariantCulture,
            $"full disk: {load.Done} calls done, {load.TooFull} answered 507, peak {memory} MiB"), [.. load.Problems]);
    }
}
