namespace Reeve.Bench;

/// <summary>Drives one target and reads the cost from its process; keeps count of what was asked of each.</summary>
internal sealed class Load(Wrk wrk, BenchOptions options, ReeveApi? reeve, TimeProvider time)
{
    /// <summary>Steady: one burst of the warm-up differs from the one before by no more than this.</summary>
    private const double SteadyShare = 0.05;

    /// <summary>So many in a row, since compilation goes in steps with level ground between them.</summary>
    private const int SteadyBursts = 2;

    private static readonly TimeSpan Burst = TimeSpan.FromSeconds(2);

    private readonly Dictionary<string, long> _answered = [];
    private readonly Dictionary<string, long> _cutMax = [];

    internal long AnsweredBy(Target target) => _answered.GetValueOrDefault(target.Name);

    internal long CutMaxOf(Target target) => _cutMax.GetValueOrDefault(target.Name);

    /// <summary>
    /// Loads a server until its throughput no longer moves. The single connection comes first, since it leaves the
    /// runtime the processor time in which to compile; under full load that takes many seconds.
    /// </summary>
    internal async Task WarmUpAsync(Target target, int connections, CancellationToken cancellationToken)
    {
        await RunAsync(target, MockModels.Plain, 1, Burst, cancellationToken);
        var before = 0.0;
        var steady = 0;
        for (var burst = 0; burst < options.WarmUpBurstsMax; burst++)
        {
            var result = await RunAsync(target, MockModels.Plain, connections, Burst, cancellationToken);
            var change = Math.Abs(result.RunsPerSecond - before) / result.RunsPerSecond;
            steady = change <= SteadyShare ? steady + 1 : 0;
            if (steady == SteadyBursts)
            {
                return;
            }

            before = result.RunsPerSecond;
        }
    }

    internal async Task<LoadResult> RunAsync(
        Target target, string model, int connections, TimeSpan duration, CancellationToken cancellationToken)
    {
        var counts = target.Key is not null && reeve is not null;
        var commitsBefore = counts ? await CommitsAsync(cancellationToken) : null;
        var cpuBefore = target.Server.CpuTime;
        var result = await wrk.RunAsync(target, model, connections, duration, cancellationToken);
        var cpu = target.Server.CpuTime - cpuBefore;
        var commits = counts ? await CommitsAsync(cancellationToken) - commitsBefore : null;

        Count(_answered, target, result.Requests);
        Count(_cutMax, target, connections);
        return new LoadResult
        {
            Server = target.Name,
            Connections = connections,
            RunsPerSecond = result.Requests / result.Seconds,
            P50Milliseconds = result.P50Milliseconds,
            P99Milliseconds = result.P99Milliseconds,
            CpuMicrosecondsPerRun = cpu.TotalMicroseconds / result.Requests,
            CommitsPerSecond = commits / result.Seconds,
        };
    }

    internal async Task<StreamsResult> StreamAsync(
        Target target, int streams, CancellationToken cancellationToken)
    {
        using var load = new StreamLoad(time);

        // Fast streams compile the path and open the connections.
        var rounds = Math.Max(1, options.WarmUpStreams / streams);
        var warmUp = await load.WarmUpAsync(target, streams, rounds, cancellationToken);
        var cpuBefore = target.Server.CpuTime;
        var result = await load.RunAsync(target, streams, options.StreamRounds, cancellationToken);
        var cpu = target.Server.CpuTime - cpuBefore;

        Count(_answered, target, warmUp + (result.Tokens / MockModels.AnswerTokens));
        return new StreamsResult
        {
            Server = target.Name,
            Streams = streams,
            FirstTokenP50Milliseconds = result.P50Milliseconds,
            FirstTokenP99Milliseconds = result.P99Milliseconds,
            CpuMicrosecondsPerToken = cpu.TotalMicroseconds / result.Tokens,
        };
    }

    private Task<double?> CommitsAsync(CancellationToken cancellationToken) =>
        reeve!.CounterAsync("commits_total", cancellationToken);

    private static void Count(Dictionary<string, long> counts, Target target, long more) =>
        counts[target.Name] = counts.GetValueOrDefault(target.Name) + more;
}
