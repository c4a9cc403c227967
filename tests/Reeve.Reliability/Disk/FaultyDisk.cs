using System.Globalization;
using Reeve.Reliability.Load;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Disk;

/// <summary>
/// A disk whose writes or syncs fail, or take two seconds, under load. Then the server is killed, when it is well again
/// or in the midst of the trouble, when its last transactions stand in the file though their commit failed. Everything
/// that it had acknowledged must be there.
/// </summary>
internal static class FaultyDisk
{
    private const int MebibytesMax = 600;
    private const int RefusalsWanted = 10;

    /// <summary>
    /// What goes wrong, and whether every write is hit: then health must say so. Where only some are, it may recover
    /// between two looks.
    /// </summary>
    internal static readonly (string Rule, bool HitsAll)[] Rules =
    [
        ("fsync eio 1", true),
        ("fsync eio 3", false),
        ("pwrite eio 1", true),
        ("pwrite eio 100", false),
        ("pwrite enospc 150", false),
        ("fsync 2000 1", true),
    ];

    internal static async Task<(string Figures, List<string> Problems)> RunAsync(
        DiskFaults faults, string rule, bool hitsAll, bool isKilledInTrouble, string name)
    {
        faults.Set("");
        using var model = new RawModel(TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(10));
        await using var server = new LoadedServer(model);
        await server.StartAsync(faults.Environment);
        using var load = new DiskLoad(server, name);
        await load.ProgressAsync(10);

        faults.Set(rule);
        if (hitsAll)
        {
            await Eventually.TrueAsync(() => load.Refused + load.TooFull >= RefusalsWanted);
            await load.ExpectHealthAsync("degraded", 503);
        }
        else
        {
            await load.ProgressAsync(10);
        }

        var refused = load.Refused + load.TooFull;
        var recovery = TimeSpan.Zero;
        if (!isKilledInTrouble)
        {
            faults.Set("");
            var begun = TimeProvider.System.GetTimestamp();
            await load.ExpectHealthAsync("live", 200);
            recovery = TimeProvider.System.GetElapsedTime(begun);
            await load.ProgressAsync(10);
        }

        var memory = server.PeakMebibytes();
        if (memory > MebibytesMax)
        {
            load.Problems.Enqueue($"it took {memory} MiB of memory");
        }

        await server.KillAsync();
        await server.StartAsync();
        await load.FinishAsync();
        await load.CheckAsync();
        await server.KillAsync();
        if (await server.VerifyAsync() is { } complaint)
        {
            load.Problems.Enqueue(complaint);
        }

        var end = isKilledInTrouble
            ? "killed in it"
            : string.Create(CultureInfo.InvariantCulture, $"well again after {recovery.TotalSeconds:F1} s");
        return (string.Create(CultureInfo.InvariantCulture,
                $"{rule}: {load.Done} calls done, {refused} refused, {end}, peak {memory} MiB"),
            [.. load.Problems.Select(problem => $"{rule}: {problem}")]);
    }
}
