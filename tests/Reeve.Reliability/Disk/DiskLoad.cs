using System.Collections.Concurrent;
using Reeve.Reliability.Load;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Disk;

/// <summary>Runs, streams and uploads of patient clients, and what must be true of them in the end.</summary>
internal sealed class DiskLoad : IDisposable
{
    private static readonly TimeSpan FinishMax = TimeSpan.FromSeconds(90);

    private readonly LoadedServer _server;
    private readonly List<PatientClient> _clients;
    private readonly List<Task> _work;
    private readonly CancellationTokenSource _stop = new();

    internal DiskLoad(LoadedServer server, string name)
    {
        _server = server;
        _clients =
        [
            .. Enum.GetValues<ClientWork>().Select(
                work => new PatientClient(server, work, $"{name}-{work}", Problems)
                {
                    MayBeFull = true,
                    MayBeKilled = true,
                }),
        ];
        _work = [.. _clients.Select(client => Task.Run(() => client.WorkAsync(_stop.Token)))];
    }

    internal ConcurrentQueue<string> Problems { get; } = new();

    internal int Done => _clients.Sum(static one => one.Done.Count + one.Uploaded.Count);

    /// <summary>Some runs of every kind of client.</summary>
    internal string[] Runs => [.. _clients.SelectMany(static one => one.Done.Take(2)).Select(static run => run.RunId)];

    internal int TooFull => _clients.Sum(static one => one.TooFull);

    internal int Refused => _clients.Sum(static one => one.Refused);

    /// <summary>Waits until so many more calls were done.</summary>
    internal async Task ProgressAsync(int more)
    {
        var goal = Done + more;
        await Eventually.TrueAsync(() => Done >= goal || _work.Exists(static one => one.IsFaulted));
    }

    /// <summary>Health says so within a few seconds.</summary>
    internal async Task ExpectHealthAsync(string live, int ready)
    {
        using var client = _server.NewClient();
        var (saidLive, saidReady) = ("", 0);
        for (var tries = 0; tries < 200 && (saidLive != live || saidReady != ready); tries++)
        {
            saidLive = (await client.GetAsync("/health/live")).Json.GetProperty("status").GetString()!;
            saidReady = (await client.GetAsync("/health/ready")).Status;
            await Task.Delay(TimeSpan.FromMilliseconds(25), TimeProvider.System);
        }

        if (saidLive != live || saidReady != ready)
        {
            Problems.Enqueue($"health should say {live} and {ready}; it says {saidLive} and {saidReady}");
        }
    }

    /// <summary>Lets the clients finish what they began; with that nothing is asked of the server any more.</summary>
    internal async Task FinishAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await Task.WhenAll(_work).WaitAsync(FinishMax);
        }
        catch (TimeoutException)
        {
            Problems.Enqueue("a client could not finish what it had begun after the trouble was over");
        }
    }

    /// <summary>Everything that was acknowledged is there, whole, and no hold is left.</summary>
    internal async Task CheckAsync()
    {
        using var client = _server.NewClient();
        foreach (var one in _clients)
        {
            foreach (var (runId, taskId, text) in one.Done)
            {
                await CheckRunAsync(client, one, runId, taskId, text);
            }

            foreach (var document in one.Uploaded)
            {
                if ((await client.GetAsync($"/v1/documents/{document}")).Status != 200)
                {
                    Problems.Enqueue($"{document} was acknowledged and is lost");
                }
            }
        }

        foreach (var status in (string[])["running", "queued"])
        {
            var open = (await client.GetAsync($"/v1/runs?status={status}")).Json.GetProperty("data");
            if (open.GetArrayLength() > 0)
            {
                Problems.Enqueue($"runs are {status} though nobody waits for them: {open}");
            }
        }

        if (await client.GetAsync("/v1/accounts/me") is var me && me.Json.GetProperty("held_usd").GetDecimal() != 0)
        {
            Problems.Enqueue($"a hold is left: {me.Text}");
        }
    }

    public void Dispose() => _stop.Dispose();

    private async Task CheckRunAsync(
        TestClient client, PatientClient reader, string runId, string? taskId, string text)
    {
        var begun = TimeProvider.System.GetTimestamp();
        TestAnswer answer;
        do
        {
            answer = await client.GetAsync($"/v1/runs/{runId}");
        }
        while (answer.Status == 200 && answer.Json.GetProperty("status").GetString() is "queued" or "running"
            && TimeProvider.System.GetElapsedTime(begun).TotalSeconds < 30);

        if (answer.Status != 200 || answer.Json.GetProperty("status").GetString() != "completed")
        {
            Problems.Enqueue($"{runId} was acknowledged and is {answer.Text}");
        }
        else if (text.Length > 0 && await reader.ReplayAsync(runId, taskId) is var replay && replay != text)
        {
            Problems.Enqueue($"{runId} was read as\n{text}\nand is replayed as\n{replay}");
        }
    }
}
