using System.Globalization;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Overload;

/// <summary>
/// R25: what a full node does with five times what it can. The peak is found with as many callers as the node takes
/// runs; then new runs are offered at five times that rate, whether or not the ones before were answered.
/// </summary>
internal static class OverloadHarness
{
    private const double GoodputShareMin = 0.8;
    private const double SlowdownMax = 2;

    private static readonly TimeSpan RecoveryMax = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ProviderTime = TimeSpan.FromMilliseconds(50);

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var places = trial.Count(test: 8, ci: 32, bench: 32);
        using var model = new RawModel(ProviderTime);
        await using var server = new LoadedServer(
            model, string.Create(CultureInfo.InvariantCulture, $"\"runs_max\":{places},"));
        await server.StartAsync();
        using var load = new RunLoad(server);
        var warm = await load.ClosedAsync(places, Seconds(trial.Count(test: 1, ci: 5, bench: 10)));

        var peak = await load.ClosedAsync(places, Seconds(trial.Count(test: 1, ci: 10, bench: 30)));
        trial.Log($"peak {peak.Rate:F0}/s, p99 {peak.Good.Quantile(0.99):F0} ms");
        var storm = await load.OpenAsync(peak.Rate * 5, Seconds(trial.Count(test: 2, ci: 30, bench: 120)));
        trial.Log($"offered {storm.Offered:F0}/s, done {storm.Rate:F0}/s, p99 {storm.Good.Quantile(0.99):F0} ms");

        var begun = TimeProvider.System.GetTimestamp();
        var problems = new List<string>([.. warm.Problems, .. peak.Problems, .. storm.Problems]);
        LoadResult after;
        do
        {
            after = await load.ClosedAsync(places / 2, Seconds(1));
            problems.AddRange(after.Problems);
        }
        while ((after.Refused.Count > 0 || after.Good.Count == 0
            || after.Good.Quantile(0.99) > SlowdownMax * peak.Good.Quantile(0.99))
            && TimeProvider.System.GetElapsedTime(begun) < RecoveryMax + RecoveryMax);

        var recovery = TimeProvider.System.GetElapsedTime(begun);
        Expect(storm.Refused.Count > 0, "nothing was refused: the bound does not hold");
        Expect(storm.Good.Count > 0 && after.Good.Count > 0, "nothing is let in any more");
        if (trial.Scale != Scale.Test)
        {
            Expect(storm.Offered >= 0.9 * 5 * peak.Rate, $"only {storm.Offered:F0}/s could be offered");
            Expect(storm.Rate >= GoodputShareMin * peak.Rate,
                $"goodput fell to {storm.Rate / peak.Rate:P0} of the peak");
            Expect(storm.Good.Quantile(0.99) <= SlowdownMax * peak.Good.Quantile(0.99),
                $"p99 of those let in rose from {peak.Good.Quantile(0.99):F0} to {storm.Good.Quantile(0.99):F0} ms");
            Expect(recovery <= RecoveryMax, $"it took {recovery.TotalSeconds:F0} s until all was as before");
        }

        var memory = server.PeakMebibytes();
        Expect(await server.Process.TerminateAsync() == 0, "the server did not end with status 0");
        if (await server.VerifyAsync() is { } complaint)
        {
            problems.Add(complaint);
        }

        return new Score(peak.Good.Count + storm.Good.Count + storm.Refused.Count, string.Create(
            CultureInfo.InvariantCulture,
            $"{places} places: peak {peak.Rate:F0} runs/s, p99 {peak.Good.Quantile(0.99):F0} ms; "
            + $"offered {storm.Offered:F0}/s: goodput {storm.Rate / peak.Rate:P0} of the peak, p99 "
            + $"{storm.Good.Quantile(0.99):F0} ms, {storm.Refused.Count} refused (p50 "
            + $"{storm.Refused.Quantile(0.5):F1}, p99 {storm.Refused.Quantile(0.99):F0} ms); as before after "
            + $"{recovery.TotalSeconds:F0} s; peak memory {memory} MiB"), problems);

        void Expect(bool condition, string problem)
        {
            if (!condition)
            {
                problems.Add(problem);
            }
        }
    }

    private static TimeSpan Seconds(int count) => TimeSpan.FromSeconds(count);
}
