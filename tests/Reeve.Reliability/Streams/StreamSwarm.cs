using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Streams;

/// <summary>
/// R7: many open streams on runs that go on slowly, some of which are never read. The server is a process of its own;
/// provider and readers are in this one.
/// </summary>
internal static class StreamSwarm
{
    /// <summary>Readers of one run, the one who started it among them.</summary>
    internal const int ReadersPerRun = 10;

    private const int OpeningAtOnce = 48;
    private const int PauseMilliseconds = 2_000;
    private const int PiecesMax = 100_000;

    // Kernel buffers on both sides and the server's own take about 200 KiB; the runs of stalled readers say more.
    private const int StalledPieces = 70;
    private const int StalledPieceCharacters = 4_096;
    private const long StalledFullBytes = 220 * 1024;
    private static readonly TimeSpan StalledMax = TimeSpan.FromSeconds(16);

    /// <summary>Who does not read for a moment is no stalled reader.</summary>
    private static readonly TimeSpan StalledMin = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan StalledPatience = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan EndMax = TimeSpan.FromSeconds(60);

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var goals = new SwarmGoals(
            trial.Count(100, 2_000, 10_000), trial.Count(2, 20, 100), TimeSpan.FromSeconds(trial.Count(3, 20, 40)),
            trial.Count(5_000, 1_000, 250), trial.Count(600, 600, 600) * 1_000_000L);
        await using var provider = await MockProvider.StartAsync();
        await using var slot = new ServerSlot();
        provider.Configure(slot.Folder, timeoutMilliseconds: 120_000);
        await slot.StartAsync();
        using var swarm = new Swarm(slot, provider, goals, trial.Log);
        return await swarm.RunAsync();
    }

    internal sealed record SwarmGoals(
        int Streams, int Stalled, TimeSpan Window, double MillisecondsMax, long ResidentBytesMax);

    private sealed class Swarm(ServerSlot slot, MockProvider provider, SwarmGoals goals, Action<string> log)
        : IDisposable
    {
        private static readonly IPAddress[] Sources =
            [.. Enumerable.Range(1, 4).Select(last => IPAddress.Parse($"127.0.0.{last}"))];

        private readonly LatencyHistogram _latencies = new();
        private readonly LatencyHistogram _uncounted = new();
        private readonly ConcurrentQueue<string> _problems = new();
        private readonly List<List<SwarmReader>> _runs = [];
        private readonly List<(SwarmReader Stalled, SwarmReader Beside)> _stalled = [];
        private readonly ConcurrentBag<Task> _reading = [];
        private string _agent = "";
        private int _opened;
        private long _residentMax;

        internal async Task<Score> RunAsync()
        {
            _agent = await slot.NewAgentAsync(
                ",\"max_output_tokens\":100000,\"limits\":{\"max_run_seconds\":7200}");
            var idle = slot.Process.ResidentBytes;
            var begun = TimeProvider.System.GetTimestamp();
            await OpenGoodAsync();
            log(string.Create(CultureInfo.InvariantCulture,
                $"{_opened} streams open after {TimeProvider.System.GetElapsedTime(begun).TotalSeconds:N1} s, "
                + $"{slot.Process.ResidentBytes / 1e6:N0} MB"));
            await OpenStalledAsync();
            log(string.Create(CultureInfo.InvariantCulture,
                $"{_stalled.Count} stalled ones beside them, {slot.Process.ResidentBytes / 1e6:N0} MB"));
            _latencies.From = TimeProvider.System.GetTimestamp();
            var cutting = CutAsync();
            await WatchAsync(cutting);
            var cuts = await cutting;
            await EndAsync();
            return Score(idle, cuts);
        }

        private SwarmReader NewReader(LatencyHistogram histogram) => new(
            slot.Process.Url, Sources[Interlocked.Increment(ref _opened) % Sources.Length], histogram);

        private async Task OpenGoodAsync()
        {
            var runs = Math.Max(1, goals.Streams / ReadersPerRun);
            _runs.AddRange(Enumerable.Range(0, runs).Select(static _ => new List<SwarmReader>()));
            var prompt = new MockPrompt { Pieces = PiecesMax, Pause = PauseMilliseconds, Text = MockText.Stamped };
            await Parallel.ForAsync(0, runs, new ParallelOptions { MaxDegreeOfParallelism = OpeningAtOnce },
                async (index, _) =>
                {
                    var dialect = index % 2 == 0 ? Dialect.Mesh : Dialect.Auteryn;
                    var first = await ReadAsync(
                        SwarmReader.Start(dialect, _agent, prompt.Input($"run {index}")), _latencies);
                    _runs[index].Add(first);
                    var path = await first.EventsPath;
                    while (_runs[index].Count < ReadersPerRun)
                    {
                        var reader = await ReadAsync(SwarmReader.Follow(_agent, path), _latencies);
                        _runs[index].Add(reader);
                        await reader.EventsPath;
                    }
                });
        }

        private async Task<SwarmReader> ReadAsync(string request, LatencyHistogram histogram)
        {
            var reader = NewReader(histogram);
            await reader.OpenAsync(request);
            _reading.Add(reader.ReadAsync(StalledFullBytes));
            return reader;
        }

        // One who reads the same run tells when the buffers of those who do not must have been full.
        private async Task OpenStalledAsync()
        {
            var prompt = new MockPrompt { Pieces = StalledPieces, Text = MockText.Big, Size = StalledPieceCharacters };
            while (_stalled.Count < goals.Stalled)
            {
                var beside = await ReadAsync(
                    SwarmReader.Start(Dialect.Mesh, _agent, prompt.Input($"stalled {_stalled.Count}")), _uncounted);
                var path = await beside.EventsPath;
                for (var i = 0; i < ReadersPerRun && _stalled.Count < goals.Stalled; i++)
                {
                    var stalled = NewReader(_uncounted);
                    await stalled.OpenAsync(SwarmReader.Follow(_agent, path), reads: false);
                    _stalled.Add((stalled, beside));
                }
            }
        }

        /// <summary>Seconds from full buffers to the cut of each stalled reader.</summary>
        private async Task<List<double>> CutAsync()
        {
            var begun = TimeProvider.System.GetTimestamp();
            var cuts = new List<double>();
            var open = _stalled.ToList();
            while (open.Count > 0 && TimeProvider.System.GetElapsedTime(begun) < StalledPatience)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
                foreach (var one in open.Where(static one => one.Stalled.IsCut).ToList())
                {
                    open.Remove(one);
                    cuts.Add(TimeProvider.System.GetElapsedTime(one.Beside.FullAt).TotalSeconds);
                }
            }

            foreach (var _ in open)
            {
                _problems.Enqueue($"a stalled reader was not cut in {StalledPatience.TotalSeconds:N0} s");
            }

            return cuts;
        }

        private async Task WatchAsync(Task until)
        {
            var begun = TimeProvider.System.GetTimestamp();
            while (!until.IsCompleted || TimeProvider.System.GetElapsedTime(begun) < goals.Window)
            {
                _residentMax = Math.Max(_residentMax, slot.Process.ResidentBytes);
                await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System);
            }
        }

        private async Task EndAsync()
        {
            _latencies.From = long.MaxValue; // The last frame says the whole output again, with all its stamps.
            provider.Finish();
            try
            {
                await Task.WhenAll(_reading).WaitAsync(EndMax);
            }
            catch (TimeoutException)
            {
                _problems.Enqueue("not every reader saw the end of its run");
            }

            foreach (var beside in _stalled.Select(static one => one.Beside).Distinct().Where(
                static one => !one.IsEnded))
            {
                _problems.Enqueue("a good reader beside a stalled one: " + (beside.Failure ?? "it never saw the end"));
            }

            foreach (var (index, readers) in _runs.Index())
            {
                var most = readers.Max(static reader => reader.Stamps);
                foreach (var reader in readers.Where(reader => !reader.IsEnded || reader.Stamps != most || most == 0))
                {
                    _problems.Enqueue($"a good reader of run {index} got {reader.Stamps} of {most} pieces: "
                        + (reader.Failure ?? "it never saw the end"));
                }
            }
        }

        private Score Score(long idle, List<double> cuts)
        {
            var (p50, p99) = (_latencies.Percentile(50), _latencies.Percentile(99));
            var (cutMin, cutMax) = (cuts.DefaultIfEmpty().Min(), cuts.DefaultIfEmpty().Max());
            if (cuts.Count > 0 && cutMin < StalledMin.TotalSeconds)
            {
                _problems.Enqueue(FormattableString.Invariant($"a stalled reader was cut after {cutMin:N1} s already"));
            }

            if (_latencies.Total == 0)
            {
                _problems.Enqueue("no piece was delivered while it was measured");
            }

            if (cutMax > StalledMax.TotalSeconds)
            {
                _problems.Enqueue(FormattableString.Invariant($"a stalled reader was cut after {cutMax:N1} s"));
            }

            if (p99 > goals.MillisecondsMax)
            {
                _problems.Enqueue(FormattableString.Invariant(
                    $"p99 of delivery is {p99:N0} ms, the goal {goals.MillisecondsMax:N0} ms"));
            }

            if (_residentMax > goals.ResidentBytesMax)
            {
                _problems.Enqueue(FormattableString.Invariant($"the server took {_residentMax / 1e6:N0} MB"));
            }

            return new Score(goals.Streams, string.Create(CultureInfo.InvariantCulture,
                $"{goals.Streams:N0} good streams of {_runs.Count:N0} runs, {goals.Stalled} stalled; delivery p50 ")
                + string.Create(CultureInfo.InvariantCulture,
                    $"{p50:N1} ms, p99 {p99:N1} ms of {_latencies.Total:N0} pieces; server {_residentMax / 1e6:N0} MB ")
                + string.Create(CultureInfo.InvariantCulture, $"(idle {idle / 1e6:N0} MB); ")
                + string.Create(CultureInfo.InvariantCulture, $"{cuts.Count} stalled cut, ")
                + string.Create(CultureInfo.InvariantCulture, $"after {cutMin:N1} to {cutMax:N1} s"),
                [.. _problems.Take(200)]);
        }

        public void Dispose()
        {
            foreach (var reader in _runs.SelectMany(static readers => readers)
                .Concat(_stalled.SelectMany(static pair => (SwarmReader[])[pair.Stalled, pair.Beside])))
            {
                reader.Dispose();
            }
        }
    }
}
