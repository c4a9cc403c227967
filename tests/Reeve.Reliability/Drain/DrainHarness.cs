using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using Reeve.Reliability.Load;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Drain;

/// <summary>
/// D1: SIGTERM under load on both APIs. Nothing is lost, every client is told what to do, and the process ends by
/// itself. Every other drain is held up for a while, to look at what the door says meanwhile; one run of a provider
/// that hangs lives through all of them.
/// </summary>
internal static class DrainHarness
{
    private const int RestartsMin = 5;
    private const int ExitSecondsMax = 25;
    private const int HeldMilliseconds = 800;
    private const int RunsBetween = 20;

    private static readonly TimeSpan RecoveryMax = TimeSpan.FromSeconds(60);

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var drains = trial.Count(test: 2, ci: 6, bench: 20);
        var problems = new ConcurrentQueue<string>();
        var exits = new Latencies();
        using var model = new RawModel(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(30));
        await using var server = new LoadedServer(model);
        await StartAsync(server, 0);
        var hanging = await StartHangingAsync(server);
        using var stop = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 10).Select(index => new PatientClient(
            server, (ClientWork)(index % 5), $"{(ClientWork)(index % 5)}-{index}", problems)).ToList();
        var work = clients.Select(client => Task.Run(() => client.WorkAsync(stop.Token))).ToList();

        var (before, restarts) = (0, 0);
        for (; restarts < drains; restarts++)
        {
            await Eventually.TrueAsync(
                () => Count() >= before + RunsBetween || work.Exists(static one => one.IsFaulted));
            before = Count();
            await DrainAsync(server, restarts % 2 == 1, exits, problems);
            await StartAsync(server, restarts + 1);
        }

        await stop.CancelAsync();
        await Task.WhenAll(work).WaitAsync(RecoveryMax);
        for (; restarts < RestartsMin; restarts++)
        {
            await TerminateAsync(server, exits, problems);
            await StartAsync(server, 0);
        }

        await CheckAsync(server, clients, hanging, problems);
        await TerminateAsync(server, exits, problems);
        if (await server.VerifyAsync() is { } complaint)
        {
            problems.Enqueue(complaint);
        }

        return new Score(drains, string.Create(CultureInfo.InvariantCulture,
            $"{Count()} runs, {clients.Sum(static one => one.Interrupted)} streams resumed, "
            + $"{clients.Sum(static one => one.Refused)} calls told to come again; exit p50 {exits.Quantile(0.5):F0}, "
            + $"max {exits.Quantile(1):F0} ms; a hanging run lived through {restarts} stops"), [.. problems]);

        int Count() => clients.Sum(static one => one.Done.Count);
    }

    private static Task StartAsync(LoadedServer server, int drain) => server.StartAsync(drain % 2 == 1
        ? [("REEVE_FAILPOINTS", string.Create(
            CultureInfo.InvariantCulture, $"stop.released=delay:{HeldMilliseconds}@1"))]
        : []);

    private static async Task<string> StartHangingAsync(LoadedServer server)
    {
        using var client = server.NewClient();
        var answer = await client.PostAsync(
            "/v1/agents/runs", $$"""{"agent":"{{server.AgentId}}","input":"Please hang.","background":true}""");
        return answer.Json.GetProperty("run_id").GetString()!;
    }

    private static async Task DrainAsync(
        LoadedServer server, bool isHeld, Latencies exits, ConcurrentQueue<string> problems)
    {
        if (!isHeld)
        {
            await TerminateAsync(server, exits, problems);
            return;
        }

        using var deadline = new CancellationTokenSource(RecoveryMax);
        using var early = await RawConnection.OpenAsync(server.Url, deadline.Token);
        var ready = RawConnection.Request("GET", "/health/ready", null);
        if (await early.SendAsync(ready, deadline.Token) is not { Status: 200 })
        {
            problems.Enqueue("the server was not ready before it was asked to stop");
        }

        var ending = TerminateAsync(server, new Latencies(), problems); // Held up, it tells nothing of the usual time.
        var asked = TimeProvider.System.GetTimestamp();
        while (await early.SendAsync(ready, deadline.Token) is { Status: 200 })
        {
            if (ending.IsCompleted || TimeProvider.System.GetElapsedTime(asked) > RecoveryMax)
            {
                problems.Enqueue("/health/ready did not change while the server was stopping");
                return;
            }
        }

        var run = RawConnection.Request(
            "POST", "/v1/agents/runs", $$"""{"agent":"{{server.AgentId}}","input":"Hi"}""");
        var other = RawConnection.Request(
            "POST", "/api/run", """{"query":"Hi"}""", $"X-Agent-Id: {server.AgentId}\r\n");
        try
        {
            // Again and again, for half of the time that it is held up.
            for (asked = TimeProvider.System.GetTimestamp();
                TimeProvider.System.GetElapsedTime(asked).TotalMilliseconds < HeldMilliseconds / 2;)
            {
                using var late = await RawConnection.OpenAsync(server.Url, deadline.Token);
                Refused("/health/ready", await late.SendAsync(ready, deadline.Token));
                Refused("a run", await late.SendAsync(run, deadline.Token));
                Refused("a run of the other API", await late.SendAsync(other, deadline.Token));
            }
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            problems.Enqueue($"while the drain was held up the door was closed: {error.Message}");
        }

        await ending;

        void Refused(string what, RawAnswer answer)
        {
            if (answer.Status != 503 || !answer.HasRetryAfter)
            {
                problems.Enqueue($"{what} during the drain was answered {answer.Head}{answer.Text}");
            }
        }
    }

    private static async Task TerminateAsync(LoadedServer server, Latencies exits, ConcurrentQueue<string> problems)
    {
        var asked = TimeProvider.System.GetTimestamp();
        var status = await server.Process.TerminateAsync();
        var time = TimeProvider.System.GetElapsedTime(asked);
        exits.Add(time);
        if (status != 0 || time.TotalSeconds > ExitSecondsMax || server.Process.Errors.Length > 0)
        {
            problems.Enqueue(string.Create(CultureInfo.InvariantCulture,
                $"it ended with {status} after {time.TotalSeconds:F1} s: {server.Process.Errors}"));
        }
    }

    private static async Task CheckAsync(
        LoadedServer server, List<PatientClient> clients, string hanging, ConcurrentQueue<string> problems)
    {
        using var client = server.NewClient();
        foreach (var one in clients)
        {
            foreach (var (runId, taskId, text) in one.Done)
            {
                var status = await StatusAsync(client, runId);
                if (status != "completed")
                {
                    problems.Enqueue($"{runId} is {status}");
                }

                if (text.Length > 0 && await one.ReplayAsync(runId, taskId) is var replay && replay != text)
                {
                    problems.Enqueue($"{runId} was read as\n{text}\nand is replayed as\n{replay}");
                }
            }
        }

        if (await StatusAsync(client, hanging) is var lives && lives != "running")
        {
            problems.Enqueue($"the run that hangs should still run after clean stops; it is {lives}");
        }

        var cancelled = await client.PostAsync($"/v1/runs/{hanging}/cancel", "");
        if (cancelled.Json.GetProperty("status").GetString() != "cancelled")
        {
            problems.Enqueue($"the run that hangs could not be cancelled: {cancelled.Text}");
        }

        if (await client.GetAsync("/v1/accounts/me") is var me && me.Json.GetProperty("held_usd").GetDecimal() != 0)
        {
            problems.Enqueue($"a hold is left: {me.Text}");
        }
    }

    /// <summary>The status of a run, once it is terminal or nothing changes any more.</summary>
    private static async Task<string> StatusAsync(TestClient client, string runId)
    {
        var begun = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var answer = await client.GetAsync($"/v1/runs/{runId}");
            var status = answer.Status == 200 ? answer.Json.GetProperty("status").GetString()! : answer.Text;
            if (status is not ("running" or "queued") || TimeProvider.System.GetElapsedTime(begun).TotalSeconds > 2)
            {
                return status;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }
    }
}
