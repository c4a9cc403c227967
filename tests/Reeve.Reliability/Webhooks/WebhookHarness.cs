using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Reeve.Reliability.Chaos;
using Reeve.Reliability.Load;
using Reeve.Reliability.Simulation;
using Reeve.Server.Storage;
using Reeve.Server.Tests.Webhooks;

namespace Reeve.Reliability.Webhooks;

/// <summary>
/// R19: a real server delivers to a receiver behind a proxy that mistreats connections and that answers badly itself,
/// to one that is always well, and to one that never answers. First without kills, to see how long the dead one holds
/// up the well one; then the server is killed again and again.
/// </summary>
internal sealed class WebhookHarness : IAsyncDisposable
{
    private const int Clients = 6;
    private const int LifeBytes = 30_000;
    private static readonly string[] Ends = ["run.completed", "run.failed", "run.cancelled"];
    private static readonly TimeSpan DelayMax = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan OverMax = TimeSpan.FromMinutes(4);

    private readonly ServerSlot _slot = new();
    private readonly SimRandom _random;
    private readonly ConcurrentQueue<string> _acknowledged = new();
    private readonly List<string> _problems = [];
    private readonly MockProvider _provider;
    private readonly WebhookReceiver _rough;
    private readonly WebhookReceiver _well;
    private readonly ChaosProxy _proxy;
    private readonly LoopbackListener _dead;
    private string _agent = "";
    private int _tag;

    private WebhookHarness(MockProvider provider, WebhookReceiver rough, WebhookReceiver well, ulong seed)
    {
        (_provider, _rough, _well, _random) = (provider, rough, well, new SimRandom(seed));
        _proxy = new ChaosProxy(() => rough.Url, seed, LifeBytes);
        _dead = new LoopbackListener(512, static async (socket, stop) =>
        {
            using (socket)
            {
                await Task.WhenAny(Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, stop));
            }
        });
        var answers = new SimRandom(seed + 1);
        rough.Answer = (_, context) =>
        {
            lock (answers)
            {
                return Task.FromResult(Misbehave(answers.Below(10), context));
            }
        };
    }

    internal static async Task<Score> RunAsync(Trial trial)
    {
        await using var provider = await MockProvider.StartAsync();
        await using var rough = await WebhookReceiver.StartAsync();
        await using var well = await WebhookReceiver.StartAsync();
        await using var harness = new WebhookHarness(provider, rough, well, trial.Seed);
        return await harness.TryAsync(trial);
    }

    public async ValueTask DisposeAsync()
    {
        await _slot.DisposeAsync();
        await _proxy.DisposeAsync();
        _dead.Dispose();
    }

    private static int Misbehave(int choice, HttpContext context)
    {
        context.Response.Headers.Location = "/elsewhere";
        return choice switch { 0 => 500, 1 => 302, 2 => 404, _ => 200 };
    }

    private async Task<Score> TryAsync(Trial trial)
    {
        var dead = $"127.0.0.1:{_dead.Port}";
        _provider.Configure(_slot.Folder, members: string.Create(CultureInfo.InvariantCulture,
            $$""","egress":{"allow":["{{_proxy.Url.Authority}}","{{_well.Url.Authority}}","{{dead}}"]}""")
            + ",\"webhooks\":{\"retry_seconds\":[" + string.Join(',', Enumerable.Repeat(1, 20)) + "]}");
        await _slot.StartAsync();
        _agent = await _slot.NewAgentAsync(",\"conversation_limit\":1000000");
        var rough = await _slot.NewWebhookAsync(_proxy.Url, Ends);
        var well = await _slot.NewWebhookAsync(_well.Url, Ends);
        var silent = await _slot.NewWebhookAsync(new Uri($"http://{dead}/"), Ends);

        var runs = trial.Count(test: 60, ci: 400, bench: 50_000);
        await LoadAsync(runs / 2, null);
        var delay = await DelayAsync(runs / 2);
        var kills = trial.Count(test: 2, ci: 15, bench: 1_000);
        await LoadAsync(runs / 2, kills);
        await SettleAsync(rough.Id, well.Id);

        var ended = _slot.Read(static session => session.List(
            "SELECT id FROM runs WHERE finished_at IS NOT NULL", static row => row.GetString(0))).ToHashSet();
        var outbox = _slot.Read(static session => session.List(
            "SELECT webhook_id, event_id, subject, sequence, status FROM webhook_deliveries", static row =>
                new OutboxRow(row.GetString(0), row.GetString(1), row.GetString(2), row.GetInt64(3),
                    row.GetString(4))));
        _problems.AddRange(_acknowledged.Where(run => !ended.Contains(run))
            .Select(static run => $"{run} was acknowledged and did not end"));
        _problems.AddRange(WebhookChecker.Check(rough.Id, rough.Secret, ended, outbox, _rough.Received));
        _problems.AddRange(WebhookChecker.Check(well.Id, well.Secret, ended, outbox, _well.Received));
        _problems.AddRange(_slot.Read(new Server.Runs.Verifier().Check).Select(static one => one.ToString()));
        if (outbox.Count(row => row.WebhookId == silent.Id) != ended.Count
            || outbox.Exists(row => row.WebhookId == silent.Id && row.Status == "delivered"))
        {
            _problems.Add("what goes to the dead endpoint is not what happened");
        }

        var again = _rough.Received.Count - ended.Count;
        if (again <= 0)
        {
            _problems.Add("nothing was sent twice: the faults did nothing");
        }

        return new Score(2 * ended.Count, string.Create(CultureInfo.InvariantCulture,
            $"{ended.Count:N0} ended runs to two receivers, {kills} kills; {again:N0} attempts came again ")
            + $"({_proxy.Counts}); " + string.Create(CultureInfo.InvariantCulture,
            $"a dead endpoint beside, a run's end was at the well one after {delay.TotalMilliseconds:N0} ms at most"),
            [.. _problems.Take(200)]);
    }

    /// <summary>Runs from several clients; meanwhile the server is killed so often.</summary>
    private async Task LoadAsync(int runs, int? kills)
    {
        var (goal, done) = (_acknowledged.Count + runs, 0);
        using var stop = new CancellationTokenSource();
        var clients = Enumerable.Range(0, Clients).Select(async client =>
        {
            while (_acknowledged.Count < goal || (kills is not null && !stop.IsCancellationRequested))
            {
                await RunAsync(client);
            }
        }).ToList();
        for (; done < kills; done++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100 + _random.Below(700)), TimeProvider.System);
            await _slot.KillAsync();
            await _slot.StartAsync();
        }

        await stop.CancelAsync();
        await Task.WhenAll(clients);
    }

    private async Task RunAsync(int client)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20), TimeProvider.System);
        try
        {
            var url = await _slot.UrlAsync(patience.Token);
            var input = new MockPrompt { Pieces = 1 + (client % 3) }.Input(
                string.Create(CultureInfo.InvariantCulture, $"hook {Interlocked.Increment(ref _tag)}"));
            using var request = Dialect.Mesh.Run(url, _agent, input, asStream: false);
            using var answer = await _slot.Http.SendAsync(request, patience.Token);
            var body = await answer.Content.ReadAsStringAsync(patience.Token);
            if ((int)answer.StatusCode == 200)
            {
                _acknowledged.Enqueue(JsonElement.Parse(body).GetProperty("run_id").GetString()!);
            }
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException or JsonException)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System); // It was killed.
        }
    }

    /// <summary>The longest time from the end of a run to the well receiver.</summary>
    private async Task<TimeSpan> DelayAsync(int runs)
    {
        await _well.ReceivedAsync(runs);
        var delay = _well.Received.Max(static one =>
            one.At - one.Json.GetProperty("created_at").GetDateTimeOffset());
        if (delay > DelayMax)
        {
            _problems.Add(string.Create(CultureInfo.InvariantCulture,
                $"a dead endpoint held up the well one: {delay.TotalMilliseconds:N0} ms"));
        }

        return delay;
    }

    /// <summary>Waits until nothing is on its way to those who live.</summary>
    private async Task SettleAsync(params string[] webhooks)
    {
        var begun = Stopwatch.GetTimestamp();
        while (_slot.Read(session => IsBusy(session, webhooks)))
        {
            if (Stopwatch.GetElapsedTime(begun) > OverMax)
            {
                _problems.Add("deliveries are still on their way after four minutes");
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        }
    }

    private static bool IsBusy(DbSession session, string[] webhooks) =>
        session.Exists("SELECT 1 FROM runs WHERE finished_at IS NULL LIMIT 1")
        || webhooks.Any(id => session.Exists(
            "SELECT 1 FROM webhook_deliveries WHERE webhook_id = $1 AND next_at IS NOT NULL LIMIT 1", id));
}
