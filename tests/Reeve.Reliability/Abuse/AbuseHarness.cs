using System.Collections.Concurrent;
using System.Globalization;
using Reeve.Reliability.Load;
using Reeve.Reliability.Simulation;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// R22: a real server, its port misused in every way that HTTP offers, while a few callers on both APIs do what they
/// always do. Nobody gets another's answer or more than is due, everything wasteful is ended, and the good ones notice
/// next to nothing.
/// </summary>
internal static class AbuseHarness
{
    private const double SlowdownMax = 3;
    private const int ProblemsMax = 200;
    private const int MemoryGrowthMebibytesMax = 200;
    private const int MemoryKeptMebibytesMax = 250;
    private const int MemoryAgainMebibytesMax = 50;
    private const int RoundsToGrow = 4;

    private static readonly TimeSpan ProviderTime = TimeSpan.FromMilliseconds(40);
    private static readonly TimeSpan ProviderPace = TimeSpan.FromMilliseconds(5);

    private static readonly IReadOnlyList<LimitCase> Limits = LimitCases.All();

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var problems = new ConcurrentQueue<string>();
        var random = new SimRandom(trial.Seed);
        using var model = new RawModel(ProviderTime, ProviderPace);
        await using var server = new LoadedServer(model);
        await server.StartAsync();
        using var nginx = await NginxFront.StartAsync(server.Url);
        await using var good = new GoodClients(server, problems);
        var enough = trial.Count(test: 100, ci: 800, bench: 4_000);
        await Eventually.TrueAsync(() => good.Runs >= enough);
        var calm = good.Measure();
        await Eventually.TrueAsync(() => calm.Count >= enough);
        var calmMilliseconds = calm.Quantile(0.99);
        using var memory = new MemoryWatch(server.Process);
        var (trials, slowest, slow) = (0L, 0.0, "");

        // In ./test all at once, for the slow connections alone take most of its time.
        IReadOnlyList<(string Name, Func<Task> Run)> abuses =
        [
            ("slow", SlowAsync), ("limits", LimitsAsync), ("framing", FramingAsync), ("shared", SharedAsync),
            ("http/2", Http2Async), ("paths", PathsAsync),
        ];
        if (trial.Scale == Scale.Test)
        {
            await AbuseAsync("all", () => Task.WhenAll(SlowAsync(), LimitsAsync(), Task.Run(async () =>
            {
                foreach (var (_, run) in abuses.Skip(2))
                {
                    await run();
                }
            })));
        }
        else
        {
            foreach (var (name, run) in abuses)
            {
                await AbuseAsync(name, run);
            }
        }

        await ServesAtOnceAsync(server, problems);

        var growth = await memory.EndAsync();
        Expect(growth <= MemoryGrowthMebibytesMax, $"its memory grew by {growth} MiB");

        // The heap keeps what it has grown to, and has after about four times: a leak goes on beyond that.
        var again = new List<long>();
        while (again.Count < trial.Count(test: 0, ci: 2, bench: 10))
        {
            await LimitsAsync();
            again.Add(memory.Mebibytes);
        }

        Expect(again.TrueForAll(static most => most <= MemoryKeptMebibytesMax)
            && (again.Count <= RoundsToGrow || again[^1] - again[RoundsToGrow - 1] <= MemoryAgainMebibytesMax),
            $"the same abuse again and again took {string.Join(", ", again)} MiB");
        await good.DisposeAsync();
        Expect(await server.Process.TerminateAsync() == 0, "the server did not end with status 0");
        if (await server.VerifyAsync() is { } complaint)
        {
            problems.Enqueue(complaint);
        }

        return new Score(trials, string.Create(CultureInfo.InvariantCulture,
            $"{slow}; {good.Runs} runs of good clients, p99 {calmMilliseconds:F0} ms before and {slowest:F0} ms at the "
            + $"worst; memory + {growth} MiB at most, {string.Join(", ", again)} when the limits came again"
            + $"{(nginx is null ? "; nginx is not installed, so nothing went through it" : "")}"),
            [.. problems.Take(ProblemsMax)]);

        async Task AbuseAsync(string name, Func<Task> run)
        {
            var measured = good.Measure();
            do
            {
                await run();
            }
            while (measured.Count < enough / 2 && trial.Scale != Scale.Test);

            var milliseconds = measured.Quantile(0.99);
            slowest = Math.Max(slowest, milliseconds);
            trial.Log(string.Create(CultureInfo.InvariantCulture,
                $"{name}: p99 of {measured.Count} good runs {milliseconds:F0} ms, {calmMilliseconds:F0} ms before"));

            // With few measurements, beside other tests, the p99 says nothing.
            Expect(milliseconds < SlowdownMax * calmMilliseconds || trial.Scale == Scale.Test,
                $"during {name} the p99 of good clients rose to {milliseconds:F0} ms from {calmMilliseconds:F0}");
        }

        async Task SlowAsync()
        {
            var connections = trial.Count(test: 200, ci: 2_000, bench: 2_000);
            slow = await SlowConnections.HoldAsync(server.Url, Slowness.All, connections, problems);
            Count(connections);
        }

        async Task LimitsAsync()
        {
            await LimitCheck.RunAsync(server.Url, Shuffled(Limits), problems);
            Count(Limits.Count);
        }

        async Task FramingAsync() => Count(
            await FramingCheck.RunAsync(server.Url, Shuffled(FramingCases.All), problems));

        async Task SharedAsync()
        {
            foreach (var proxy in nginx is null ? [] : (Uri[])[nginx.Usual, nginx.Lenient])
            {
                Count(await SharedConnections.RunAsync(
                    proxy, Shuffled(FramingCases.All), FramingOpening.All.Count, problems));
            }
        }

        async Task Http2Async() => Count(
            await Http2Floods.RunAsync(server.Url, trial.Count(test: 1, ci: 4, bench: 20), problems));

        async Task PathsAsync() => Count(
            await PathTricks.RunAsync(server.Url, server.AgentId, problems));

        void Count(long more) => Interlocked.Add(ref trials, more);

        List<T> Shuffled<T>(IReadOnlyList<T> cases) => [.. cases.OrderBy(_ => random.Next())];

        void Expect(bool condition, string problem)
        {
            if (!condition)
            {
                problems.Enqueue(problem);
            }
        }
    }

    private static async Task ServesAtOnceAsync(LoadedServer server, ConcurrentQueue<string> problems)
    {
        using var client = server.NewClient();
        var begun = TimeProvider.System.GetTimestamp();
        var answer = await client.PostAsync(
            "/v1/agents/runs", $$"""{"agent":"{{server.AgentId}}","input":"Hi"}""");
        var time = TimeProvider.System.GetElapsedTime(begun);
        if (answer.Status != 200 || time.TotalSeconds > 2)
        {
            problems.Enqueue(string.Create(CultureInfo.InvariantCulture,
                $"after the abuse a run took {time.TotalSeconds:F1} s: {answer.Text}"));
        }
    }
}
