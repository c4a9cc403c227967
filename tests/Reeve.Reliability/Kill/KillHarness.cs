using System.Globalization;
using Reeve.Reliability.Load;
using Reeve.Reliability.Simulation;
using Reeve.Server;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Webhooks;

namespace Reeve.Reliability.Kill;

/// <summary>
/// R2 and the real part of R4: a real server under load is killed at random moments and at the named points, started
/// again on the same folder, and held against what its clients know.
/// </summary>
internal static class KillHarness
{
    private const int KillsBetweenChecks = 20;
    private const int MomentMillisecondsMin = 20;
    private const int MomentMillisecondsMax = 400;

    /// <summary>How long a named point may take to be reached before the server is killed anyway.</summary>
    private static readonly TimeSpan PointPatience = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan PointPatienceLong = TimeSpan.FromSeconds(20);

    /// <summary>R2: every third kill at a point, all others at random moments.</summary>
    internal static Task<Score> RunAsync(Trial trial)
    {
        var kills = trial.Count(test: 10, ci: 200, bench: 1_000);
        return RunAsync(trial, async world =>
        {
            for (var kill = 1; kill <= kills; kill++)
            {
                world.Journal.Cycle = kill;
                if (kill % 3 == 0)
                {
                    var point = world.Random.Pick(Failpoints.All);
                    await world.KillAtAsync(point, 1 + world.Random.Below(6), PointPatience);
                }
                else
                {
                    await world.KillAfterAsync(TimeSpan.FromMilliseconds(MomentMillisecondsMin
                        + world.Random.Below(MomentMillisecondsMax - MomentMillisecondsMin)));
                }

                if (kill % KillsBetweenChecks == 0)
                {
                    await world.CheckAsync(everything: false);
                    trial.Log($"{kill} kills, {world.Journal.Runs.Count} runs, "
                        + $"{world.Journal.Problems.Count} violations");
                }
            }

            world.Journal.Cycle++;
            await world.KillWithManyAsync(trial.Count(test: 60, ci: 200, bench: 200));
        });
    }

    /// <summary>R4: each point kills the server at least once.</summary>
    internal static Task<Score> RunPointsAsync(Trial trial)
    {
        var points = trial.Scale == Scale.Test
            ? Enumerable.Range(0, 5).Select(index => Failpoints.All[
                (int)((trial.Seed + ((ulong)index * 7)) % (ulong)Failpoints.All.Count)]).ToList()
            : Enumerable.Repeat(Failpoints.All, trial.Count(1, 1, 10)).SelectMany(static all => all).ToList();
        return RunAsync(trial, async world =>
        {
            foreach (var (index, point) in points.Index())
            {
                world.Journal.Cycle = index + 1;
                var hit = 1 + (index / Failpoints.All.Count);
                if (!await world.KillAtAsync(point, hit, PointPatienceLong))
                {
                    world.Journal.Report(KillFault.Wrong, $"{point} was not reached {hit} times under load");
                }

                if (index % KillsBetweenChecks == KillsBetweenChecks - 1)
                {
                    await world.CheckAsync(everything: false);
                    trial.Log($"{index + 1} of {points.Count} points, {world.Journal.Problems.Count} violations");
                }
            }
        });
    }

    private static async Task<Score> RunAsync(Trial trial, Func<KillWorld, Task> kill)
    {
        await using var provider = await MockProvider.StartAsync();
        await using var receiver = await WebhookReceiver.StartAsync();
        await using var world = new KillWorld(provider, trial.Seed, receiver: receiver);
        await world.StartAsync();
        await kill(world);
        await world.CheckAsync(everything: true);
        await world.StopAsync();
        return world.Score();
    }
}

/// <summary>A server, its clients and the one who kills it.</summary>
internal sealed class KillWorld : IAsyncDisposable
{
    private const int KilledExitCode = 137;
    private const int HedgeAfterMilliseconds = 20;
    private static readonly TimeSpan RestMax = TimeSpan.FromSeconds(45);

    private readonly ServerSlot _slot = new();
    private readonly Turnstile _turnstile = new();
    private readonly KillClients _clients;
    private readonly KillChecker _checker;
    private readonly MockProvider _provider;
    private readonly WebhookReceiver? _receiver;
    private Task _load = Task.CompletedTask;
    private int _kills;
    private int _killsAtMoments;
    private int _killsAtWork;
    private int _killsAtPoints;
    private bool _isUp;

    /// <param name="provider">The model.</param>
    /// <param name="seed">Of what the clients do.</param>
    /// <param name="rest">How long each client does nothing after an operation; nothing by default.</param>
    /// <param name="receiver">Hears of every run by a webhook; none when left out.</param>
    internal KillWorld(MockProvider provider, ulong seed, TimeSpan rest = default, WebhookReceiver? receiver = null)
    {
        (Random, _provider) = (new SimRandom(seed), provider);
        _clients = new KillClients(_slot, Journal, _turnstile, seed, rest);
        _checker = new KillChecker(_slot, Journal, provider);
        _receiver = receiver;
        provider.Configure(_slot.Folder, hedgeAfterMilliseconds: HedgeAfterMilliseconds, members: receiver is null
            ? ""
            : $$""","egress":{"allow":["{{receiver.Url.Authority}}"]}""");
    }

    internal KillJournal Journal { get; } = new();

    internal SimRandom Random { get; }

    /// <summary>Of the server that runs now.</summary>
    internal int ProcessId => _slot.Process.ProcessId;

    internal async Task StartAsync()
    {
        await _slot.StartAsync();
        _isUp = true;
        await _clients.PrepareAsync(_receiver?.Url);
        _load = _clients.RunAsync();
    }

    internal async Task KillAfterAsync(TimeSpan moment)
    {
        await EnsureUpAsync();
        await Task.Delay(moment, TimeProvider.System);
        _killsAtWork += _provider.Open > 0 ? 1 : 0;
        await KillAsync();
        _kills++;
        _killsAtMoments++;
    }

    /// <summary>Kills a server that is at so many runs at once; all of them must end when it is back.</summary>
    internal async Task KillWithManyAsync(int runs)
    {
        await EnsureUpAsync();
        await _clients.CrowdAsync(runs);
        await Eventually.TrueAsync(() => _provider.Open >= runs);
        await KillAsync();
        _kills++;
        await CheckAsync(everything: false);
    }

    /// <summary>Lets a server run into a point; false: it was not reached and the server was killed anyway.</summary>
    internal async Task<bool> KillAtAsync(string point, int hit, TimeSpan patience)
    {
        await EnsureUpAsync();
        await KillAsync(); // So that there is something to recover, whatever the point is; no trial of its own.
        _isUp = await _slot.TryStartAsync(
            string.Create(CultureInfo.InvariantCulture, $"{point}=crash@{hit}"));
        var isReached = !_isUp || await ReachAsync(point, patience);
        if (isReached && point != Failpoints.StopReleased && _slot.ExitCode != KilledExitCode)
        {
            Journal.Report(KillFault.Wrong, $"on its way to {point} the server ended by itself with {_slot.ExitCode}");
        }

        if (_isUp)
        {
            await _slot.KillAsync(); // It may come by the point in this moment.
        }

        _isUp = false;
        _kills++;
        _killsAtPoints += isReached ? 1 : 0;
        return isReached;
    }

    private async Task<bool> ReachAsync(string point, TimeSpan patience)
    {
        if (point == Failpoints.StopReleased)
        {
            var code = await _slot.TerminateAsync();
            _isUp = false;
            return code == KilledExitCode;
        }

        // A checkpoint comes after 20,000 writes, which the other clients take too long for.
        var floods = point is Failpoints.StorageBeforeCheckpoint or Failpoints.StorageCheckpointed ? 8 : 0;
        await Task.WhenAll(Enumerable.Range(0, floods).Select(_ => _clients.FloodAsync()));
        var isReached = await _slot.EndsWithinAsync(patience);
        _isUp = !isReached;
        return isReached;
    }

    internal async Task CheckAsync(bool everything)
    {
        await EnsureUpAsync();
        try
        {
            await _turnstile.CloseAsync().WaitAsync(RestMax);
        }
        catch (TimeoutException)
        {
            Journal.Report(KillFault.Stuck, $"no final answer in 45 s: {_turnstile.Inside}; "
                + string.Join(", ", Journal.Reading.Select(static one => $"{one.Key} waits for {one.Value.Stage}"))
                + $"; the server is at {_slot.Process.Url}");
        }

        await _checker.CheckAsync(everything);
        _turnstile.Open();
    }

    internal async Task StopAsync()
    {
        _clients.Stop();
        await _load.WaitAsync(RestMax);
        if (await _slot.TerminateAsync() != 0)
        {
            Journal.Report(KillFault.Wrong, "the server did not end cleanly");
        }
    }

    internal Score Score()
    {
        if (Journal.Runs.IsEmpty || (_killsAtMoments > 0 && _killsAtWork == 0))
        {
            Journal.Report(KillFault.Wrong, $"{Journal.Runs.Count} runs were acknowledged, and none of "
                + $"{_killsAtMoments} kills at random moments met a model call: there was no load");
        }

        var ready = _slot.MillisecondsToReady.Order().ToList();
        int Count(KillFault fault) => Journal.Problems.Count(problem => problem.Fault == fault);
        return new Score(_kills, string.Concat(
            FormattableString.Invariant($"lost {Count(KillFault.Lost)}, credits {Count(KillFault.Money)}, "),
            FormattableString.Invariant($"changed bytes {Count(KillFault.Changed)}, stuck {Count(KillFault.Stuck)}, "),
            FormattableString.Invariant($"other {Count(KillFault.Wrong)}; {Journal.Runs.Count:N0} acknowledged runs, "),
            FormattableString.Invariant($"{Journal.Streams.Count:N0} streams resumed {Journal.Resumes:N0} times, "),
            FormattableString.Invariant($"{Journal.TopUps.Count:N0} top-ups, {Journal.Poisoned} runs given up; "),
            FormattableString.Invariant($"{_killsAtPoints} kills at points, {_killsAtWork} of {_killsAtMoments} "),
            FormattableString.Invariant($"others met calls under way; ready after a kill p50 "),
            FormattableString.Invariant($"{ready[ready.Count / 2]:N0} ms, max {ready[^1]:N0} ms; "),
            FormattableString.Invariant($"all ended {_checker.SecondsToRestMax:N1} s after it at most")),
            [.. Journal.Problems.Select(static problem => $"{problem.Fault}: {problem.Text}")]);
    }

    public async ValueTask DisposeAsync()
    {
        _clients.Dispose();
        await _slot.DisposeAsync();
    }

    private async Task KillAsync()
    {
        if (_slot.Process.HasExited)
        {
            Journal.Report(KillFault.Wrong, $"the server ended before it was killed: {_slot.Process.Errors}");
        }

        await _slot.KillAsync();
        _isUp = false;
    }

    private async Task EnsureUpAsync()
    {
        if (!_isUp)
        {
            await _slot.StartAsync();
            _isUp = true;
        }
    }
}
