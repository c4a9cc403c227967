using System.Globalization;
using Reeve.Reliability.Kill;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Soak;

/// <summary>
/// R21: the clients of the kill harness at a steady pace, for as long as it is asked, and nobody kills anything. What
/// the server holds must not grow with what it has done, and at the end everything must agree.
/// </summary>
internal static class SoakHarness
{
    /// <summary>With it the ten clients that make runs make about 25 of them a second.</summary>
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(600);

    private static readonly TimeSpan SampleEvery = TimeSpan.FromSeconds(2);

    /// <summary>Garbage collection moves the resident size up and down; only of long soaks is growth judged.</summary>
    private static readonly TimeSpan JudgedFrom = TimeSpan.FromMinutes(20);

    private const int Checks = 4;
    private const int ToldMax = 20;
    private const double GrowthMax = 0.10;
    private const int HandlesMore = 20;
    private const int ThreadsMore = 10;

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var length = trial.Length ?? TimeSpan.FromMinutes(trial.Count(test: 1, ci: 3, bench: 60));
        await using var provider = await MockProvider.StartAsync();
        await using var world = new KillWorld(provider, trial.Seed, Rest);
        await world.StartAsync();
        var samples = new List<ProcessSample>();
        var told = 0;
        var begun = TimeProvider.System.GetTimestamp();
        for (var check = 1; check <= Checks; check++)
        {
            world.Journal.Cycle = check;
            TimeSpan at;
            while ((at = TimeProvider.System.GetElapsedTime(begun)) < length * check / Checks)
            {
                samples.Add(ProcessSample.Take(world.ProcessId, at));
                await Task.Delay(SampleEvery, TimeProvider.System);
            }

            await world.CheckAsync(everything: check == Checks);
            foreach (var (fault, text) in world.Journal.Problems.Skip(told).Take(ToldMax))
            {
                trial.Log($"{fault}: {text}");
            }

            told = world.Journal.Problems.Count;
            trial.Log(string.Create(CultureInfo.InvariantCulture,
                $"{at.TotalMinutes:F0} minutes, {world.Journal.Runs.Count} runs, "
                + $"{samples[^1].ResidentMebibytes:F0} MiB, {world.Journal.Problems.Count} violations"));
        }

        var rate = world.Journal.Runs.Count / TimeProvider.System.GetElapsedTime(begun).TotalSeconds;
        await world.StopAsync();
        var (early, late) = (Quarter(samples, 1), Quarter(samples, 3));
        return new Score(world.Journal.Runs.Count, string.Create(CultureInfo.InvariantCulture,
            $"{length.TotalMinutes:F0} minutes, {rate:F1} runs/s, {world.Journal.Streams.Count:N0} streams; resident "
            + $"{Median(early):F0} MiB in the second quarter, {Median(late):F0} in the last, "
            + $"{Slope(samples[(samples.Count / 4)..]):+0.0;-0.0} MiB/h; "
            + $"handles {early.Max(static one => one.Handles)} and {late.Max(static one => one.Handles)}, "
            + $"threads {early.Max(static one => one.Threads)} and {late.Max(static one => one.Threads)} at most"),
            [
                .. world.Journal.Problems.Select(static problem => $"{problem.Fault}: {problem.Text}"),
                .. Growth(early, late, isJudged: length >= JudgedFrom),
            ]);
    }

    private static IEnumerable<string> Growth(List<ProcessSample> early, List<ProcessSample> late, bool isJudged)
    {
        if (isJudged && Median(late) > Median(early) * (1 + GrowthMax))
        {
            yield return string.Create(CultureInfo.InvariantCulture,
                $"the resident memory grew from {Median(early):F0} to {Median(late):F0} MiB");
        }

        var (before, after) = (early.Max(static one => one.Handles), late.Max(static one => one.Handles));
        if (after > before + HandlesMore)
        {
            yield return $"open handles grew from {before} to {after}";
        }

        (before, after) = (early.Max(static one => one.Threads), late.Max(static one => one.Threads));
        if (after > before + ThreadsMore)
        {
            yield return $"threads grew from {before} to {after}";
        }
    }

    private static List<ProcessSample> Quarter(List<ProcessSample> samples, int index) =>
        samples[(samples.Count * index / 4)..(samples.Count * (index + 1) / 4)];

    private static double Median(List<ProcessSample> samples) =>
        samples.Select(static one => one.ResidentMebibytes).Order().ElementAt(samples.Count / 2);

    /// <summary>Least squares over the resident size, in MiB an hour.</summary>
    private static double Slope(List<ProcessSample> samples)
    {
        var time = samples.Average(static one => one.At.TotalHours);
        var size = samples.Average(static one => one.ResidentMebibytes);
        return samples.Sum(one => (one.At.TotalHours - time) * (one.ResidentMebibytes - size))
            / samples.Sum(one => Math.Pow(one.At.TotalHours - time, 2));
    }
}
