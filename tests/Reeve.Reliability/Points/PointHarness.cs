using System.Collections.Concurrent;
using System.Globalization;
using Reeve.Reliability.Kill;
using Reeve.Reliability.Load;
using Reeve.Server;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Points;

/// <summary>
/// R4: every named point of the run path is reached, an unexpected error is thrown at each of them in this process, and
/// a real server is killed at each of them.
/// </summary>
internal static class PointHarness
{
    internal const int HitsMax = 3;
    private const int ServersAtOnce = 4;
    private const int WritesAtOnce = 25_000;

    /// <summary>Points on threads that must not throw: what they did is durable, or is a checkpoint.</summary>
    private static readonly string[] NeverThrow =
    [
        Failpoints.StorageCommitted, Failpoints.StorageToldSome, Failpoints.LogPublished,
        Failpoints.StorageBeforeCheckpoint, Failpoints.StorageCheckpointed,
    ];

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var thrown = await ThrowAsync();
        var killed = await KillHarness.RunPointsAsync(trial);
        return new Score(thrown.Trials + killed.Trials, $"{thrown.Figures}; kills: {killed.Figures}",
            [.. thrown.Problems, .. killed.Problems]);
    }

    /// <summary>Throws at each point at its first, second and third hit.</summary>
    internal static async Task<Score> ThrowAsync()
    {
        await using var provider = await MockProvider.StartAsync();
        var problems = new ConcurrentQueue<string>();
        var trials = 0;
        await Parallel.ForEachAsync(Failpoints.All.Except(NeverThrow),
            new ParallelOptions { MaxDegreeOfParallelism = ServersAtOnce }, async (point, _) =>
            {
                for (var hit = 1; hit <= (point == Failpoints.StopReleased ? 1 : HitsMax); hit++)
                {
                    await ThrowAsync(provider, point, hit, problems);
                    Interlocked.Increment(ref trials);
                }
            });
        await ReachAsync(provider, problems);
        return new Score(trials, string.Create(CultureInfo.InvariantCulture,
            $"{Failpoints.All.Count} points reached, {trials} errors thrown"), [.. problems]);
    }

    private static async Task ThrowAsync(
        MockProvider provider, string point, int hit, ConcurrentQueue<string> problems)
    {
        // Recovery comes by where an owner failed before.
        var recovers = point is Failpoints.RecoverClaimed or Failpoints.RecoverMended;
        await using var scenarios = await PointScenarios.StartAsync(provider, (come, number) =>
            (come == point && number == hit) || (recovers && come == Failpoints.LoopAsked && number % 3 == 1));
        scenarios.IsArmed = true;
        if (point == Failpoints.StopReleased)
        {
            await scenarios.RestartAsync();
        }
        else
        {
            await scenarios.PlayAsync(point, hit);
        }

        var where = string.Create(CultureInfo.InvariantCulture, $"{point}@{hit}");
        if (scenarios.Hits.GetValueOrDefault(point) < hit)
        {
            problems.Enqueue($"{where} was not reached");
        }

        await scenarios.CheckAsync(where);
        scenarios.Problems.ForEach(problem => problems.Enqueue(
            problem.StartsWith(where, StringComparison.Ordinal) ? problem : $"{where}: {problem}"));
    }

    /// <summary>Comes by every point with nothing thrown, those that never throw among them.</summary>
    private static async Task ReachAsync(MockProvider provider, ConcurrentQueue<string> problems)
    {
        await using var scenarios = await PointScenarios.StartAsync(
            provider, static (come, number) => come == Failpoints.LoopAsked && number == 1);
        scenarios.IsArmed = true;
        await scenarios.PlayAsync(Failpoints.HostTurnBegun, 1);
        var database = scenarios.Server.Database;
        await database.WriteAsync(static session =>
        {
            for (var i = 0; i < WritesAtOnce; i++)
            {
                session.Execute("INSERT INTO settings (name, value) VALUES ($1, $2) "
                    + "ON CONFLICT (name) DO UPDATE SET value = excluded.value", "probe", "");
            }
        });
        await Eventually.TrueAsync(() =>
        {
            _ = database.ProbeAsync(); // A checkpoint is looked for after so many commits.
            return scenarios.Hits.ContainsKey(Failpoints.StorageCheckpointed);
        });
        var hits = scenarios.Hits;
        await scenarios.RestartAsync();
        foreach (var point in Failpoints.All.Where(point => !hits.ContainsKey(point)))
        {
            problems.Enqueue($"{point} is never reached");
        }

        await scenarios.CheckAsync("with nothing thrown");
        scenarios.Problems.ForEach(problems.Enqueue);
    }
}
