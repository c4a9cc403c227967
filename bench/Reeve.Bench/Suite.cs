namespace Reeve.Bench;

/// <summary>
/// One run of everything, in this order:
/// 1. mock, pass-through and Reeve start; each is warmed up;
/// 2. JSON runs: PT, direct, Reeve, and PT once more, whose two results tell whether the machine held still;
/// 3. paced streams on each;
/// 4. the ledger of Reeve is checked against what was answered;
/// 5. PT and Reeve are stopped and started five times on their data; the last start holds the streams.
/// </summary>
internal sealed class Suite(BenchOptions options, TimeProvider time)
{
    private const int ConnectionsMost = 64;
    private const int DelayedConnections = 10;
    private static readonly int[] Connections = [ConnectionsMost, 16, 1];

    private readonly List<string> _notes = [];
    private readonly List<LoadResult> _runs = [];
    private readonly List<LoadResult> _delayed = [];
    private readonly List<StreamsResult> _streams = [];

    internal async Task<BenchReport> RunAsync(CancellationToken cancellationToken)
    {
        var folder = Path.Combine(options.WorkFolder, $"run-{Environment.ProcessId}");
        Directory.CreateDirectory(folder);
        try
        {
            return await RunAsync(folder, cancellationToken);
        }
        finally
        {
            if (!options.Keep)
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    private async Task<BenchReport> RunAsync(string folder, CancellationToken cancellationToken)
    {
        var machine = await Machine.ReadAsync(options.Root, time, cancellationToken);
        await using var mock = await StartAsync(Baselines.Mock(options, folder), cancellationToken);
        var baseline = Baselines.PassThrough(options, folder, mock.Command.Url);
        var served = await ServeAsync(mock, baseline, folder, cancellationToken);

        var footprint = new Footprint(mock, options.Settle, time, Say);
        var footprints = new List<FootprintResult>
        {
            await footprint.MeasureAsync(baseline, Target.PassThrough, served.BaselinePeakBytes, cancellationToken),
        };
        if (served.Reeve is { } reeve)
        {
            footprints.Add(await footprint.MeasureAsync(
                reeve.Command, reeve.TargetOn, served.ReevePeakBytes, cancellationToken));
        }

        return new BenchReport
        {
            Machine = machine,
            Quick = options.Quick,
            DriftPercent = served.DriftPercent,
            Runs = _runs,
            DelayedRuns = _delayed,
            Streams = _streams,
            Footprints = footprints,
            Ledger = served.Ledger,
            Notes = _notes,
        };
    }

    /// <summary>Steps 1 to 4; Reeve and the pass-through are stopped when it returns.</summary>
    private async Task<Served> ServeAsync(
        ServerProcess mock, ServerCommand baseline, string folder, CancellationToken cancellationToken)
    {
        await using var passThrough = await StartAsync(baseline, cancellationToken);
        await using var reeve = options.WithoutReeve
            ? null
            : await ReeveInstance.CreateAsync(options, folder, mock.Command.Url, time, _notes, cancellationToken);
        var load = new Load(new Wrk(options.Root), options, reeve?.Api, time);
        var pt = Target.PassThrough(passThrough);
        Target[] targets = reeve is null ? [pt, Target.Mock(mock)] : [pt, Target.Mock(mock), reeve.Target];
        foreach (var target in targets)
        {
            Say($"warm-up: {target.Name}");
            await load.WarmUpAsync(target, ConnectionsMost, cancellationToken);
        }

        var drift = await LoadRunsAsync(load, targets, pt, cancellationToken);
        await LoadStreamsAsync(load, targets, cancellationToken);
        return new Served
        {
            DriftPercent = drift,
            Reeve = reeve,
            Ledger = reeve is null ? null : await CheckLedgerAsync(load, reeve, cancellationToken),
            BaselinePeakBytes = passThrough.PeakResidentBytes,
            ReevePeakBytes = reeve?.Target.Server.PeakResidentBytes ?? 0,
        };
    }

    /// <summary>Answers by how many per cent the baseline moved.</summary>
    private async Task<double> LoadRunsAsync(
        Load load, Target[] targets, Target pt, CancellationToken cancellationToken)
    {
        foreach (var target in targets)
        {
            foreach (var connections in Connections)
            {
                Say($"JSON runs: {target.Name}, {connections} connections");
                _runs.Add(await load.RunAsync(target, MockModels.Plain, connections, options.Load, cancellationToken));
            }
        }

        Say($"JSON runs: {pt.Name} again");
        var first = _runs[0];
        var last = await load.RunAsync(pt, MockModels.Plain, ConnectionsMost, options.Load, cancellationToken);
        _runs[0] = Mean(first, last);
        Say($"{pt.Name} first {first.RunsPerSecond:F0} runs/s, last {last.RunsPerSecond:F0}");
        foreach (var target in options.Quick ? [] : targets)
        {
            Say($"JSON runs, 20 ms: {target.Name}");
            _delayed.Add(await load.RunAsync(
                target, MockModels.Delayed, DelayedConnections, options.Load, cancellationToken));
        }

        return 100 * Math.Abs(first.RunsPerSecond - last.RunsPerSecond)
            / Math.Max(first.RunsPerSecond, last.RunsPerSecond);
    }

    private async Task LoadStreamsAsync(Load load, Target[] targets, CancellationToken cancellationToken)
    {
        foreach (var streams in options.Streams)
        {
            foreach (var target in targets)
            {
                Say($"streams: {target.Name}, {streams}");
                _streams.Add(await load.StreamAsync(target, streams, cancellationToken));
            }
        }
    }

    private async Task<LedgerResult> CheckLedgerAsync(
        Load load, ReeveInstance reeve, CancellationToken cancellationToken)
    {
        Say("ledger");
        var check = new LedgerCheck(reeve.Api, time);
        return await check.RunAsync(load.AnsweredBy(reeve.Target), load.CutMaxOf(reeve.Target), cancellationToken);
    }

    private Task<ServerProcess> StartAsync(ServerCommand command, CancellationToken cancellationToken) =>
        ServerProcess.StartAsync(command, time, cancellationToken);

    /// <summary>The two measurements of the baseline count alike.</summary>
    private static LoadResult Mean(LoadResult first, LoadResult last) => first with
    {
        RunsPerSecond = (first.RunsPerSecond + last.RunsPerSecond) / 2,
        P50Milliseconds = (first.P50Milliseconds + last.P50Milliseconds) / 2,
        P99Milliseconds = (first.P99Milliseconds + last.P99Milliseconds) / 2,
        CpuMicrosecondsPerRun = (first.CpuMicrosecondsPerRun + last.CpuMicrosecondsPerRun) / 2,
    };

    /// <summary>Progress goes to standard error: standard output is the report.</summary>
    private static void Say(string what) => Console.Error.WriteLine($"… {what}");

    /// <summary>What is known when the loaded servers have stopped; of Reeve, enough to start it again.</summary>
    private sealed record Served
    {
        internal required double DriftPercent { get; init; }

        internal required ReeveInstance? Reeve { get; init; }

        internal required LedgerResult? Ledger { get; init; }

        internal required long BaselinePeakBytes { get; init; }

        internal required long ReevePeakBytes { get; init; }
    }
}
