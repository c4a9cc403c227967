using System.Text.Json;

namespace Reeve.Server.Tests.Process;

/// <summary>A real server, really killed.</summary>
public sealed class KillTests : IDisposable
{
    private const int Kills = 15;

    /// <summary>How long to let the server run: scattered, and the same in every run.</summary>
    private static readonly TimeSpan[] Moments =
        [.. Enumerable.Range(1, Kills).Select(kill => TimeSpan.FromMilliseconds(10 + (kill * 7919 % 251)))];

    private static readonly TimeSpan RecoveryMax = TimeSpan.FromSeconds(30);

    private readonly string _folder = TestServer.NewFolder();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("/v1/agents/runs")]
    [InlineData("/api/run")]
    public async Task Kill_InTheMiddleOfAStream_IsResumedByteForByteAndChargedOnce(string path)
    {
        await using var model = await MockModel.StartAsync();
        model.Configure(_folder);
        var holder = new Holder { Server = await ServeAsync() };
        using var user = new StreamUser(() => holder.Url);
        var reading = user.StartAsync(path, await user.NewAgentAsync(), "please wait");
        await Eventually.TrueAsync(
            () => reading.IsCompleted || user.Text.Contains("Every ", StringComparison.Ordinal));
        await holder.Server.KillAsync();
        await holder.Server.DisposeAsync();
        Assert.False(await reading);
        var before = user.Text;

        await using (var server = await ServeAsync())
        {
            holder.Server = server;
            Assert.True(await user.ResumeAsync());
            Assert.StartsWith(before, user.Text, StringComparison.Ordinal);
            Assert.Contains("recovered", user.Text, StringComparison.Ordinal);
            Assert.Equal(await user.ReplayAsync(), user.Text);
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            var settled = (await client.GetAsync("/v1/ledger?type=settle")).Json.GetProperty("data");
            Assert.Equal(1, settled.GetArrayLength());
            Assert.Equal(-0.00042m, settled[0].GetProperty("amount_usd").GetDecimal()); // 40 x 3 + 20 x 15 micro-USD.
            var run = (await client.GetAsync($"/v1/runs/{user.RunId}")).Json;
            Assert.Equal(MockModel.Answer, run.GetProperty("output").GetString());
            Assert.Equal(0, (await client.GetAsync("/v1/accounts/me")).Json.GetProperty("held_usd").GetDecimal());
        }

        await AssertSoundAsync();
    }

    [Fact]
    public async Task Kill_AtRandomMomentsUnderLoad_LosesNothing()
    {
        await using var model = await MockModel.StartAsync();
        model.Configure(_folder);
        var holder = new Holder { Server = await ServeAsync() };
        string agent;
        using (var user = new StreamUser(() => holder.Url))
        {
            agent = await user.NewAgentAsync();
        }

        var seen = new Acknowledged();
        using var stop = new CancellationTokenSource();
        Task[] load =
        [
            .. Enumerable.Range(0, 2).SelectMany(worker => new[]
            {
                StreamAsync(holder, agent, worker % 2 == 0 ? "/v1/agents/runs" : "/api/run", seen, stop.Token),
                RetryAsync(holder, agent, worker, seen, stop.Token),
            }),
            CancelAsync(holder, agent, seen, stop.Token),
        ];
        foreach (var (kill, moment) in Moments.Index())
        {
            // Every other time something has to be under way; else a slow machine would see nothing but starts.
            var before = seen.Count;
            await Eventually.TrueAsync(() => kill % 2 == 0 || seen.Count > before);
            await Task.Delay(moment, TimeProvider.System, TestContext.Current.CancellationToken);
            await holder.Server.KillAsync();
            await holder.Server.DisposeAsync();
            holder.Server = await ServeAsync();
        }

        await stop.CancelAsync();
        await Task.WhenAll(load).WaitAsync(RecoveryMax, TestContext.Current.CancellationToken);
        using (var client = new TestClient(holder.Url, TestServer.AdminKey))
        {
            await AssertAllEndedAsync(client, seen);
        }

        Assert.Equal(0, await holder.Server.TerminateAsync());
        await holder.Server.DisposeAsync();
        Assert.True(seen.Count >= Kills / 2, $"Only {seen.Count} runs in {Kills} kills.");
        await AssertSoundAsync();
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{Kills} kills, {seen.Runs.Count} acknowledged runs, {seen.Resumes} resumed streams");
    }

    private Task<ReeveProcess> ServeAsync() =>
        ReeveProcess.ServeAsync(_folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));

    private async Task AssertSoundAsync()
    {
        var (code, output, errors) = await ReeveProcess.VerifyAsync(_folder);
        Assert.True(code == 0 && output.StartsWith("0 violations in ", StringComparison.Ordinal), output + errors);
    }

    private static async Task AssertAllEndedAsync(TestClient client, Acknowledged seen)
    {
        var start = TimeProvider.System.GetTimestamp();
        foreach (var run in seen.Runs)
        {
            JsonElement shown;
            do
            {
                var answer = await client.GetAsync($"/v1/runs/{run}");
                Assert.True(answer.Status == 200, $"{run} was acknowledged and is lost: {answer.Text}");
                shown = answer.Json;
                Assert.True(TimeProvider.System.GetElapsedTime(start) < RecoveryMax, $"{run} is stuck: {answer.Text}");
            }
            while (shown.GetProperty("status").GetString() is "queued" or "running");
        }

        foreach (var status in new[] { "running", "queued", "requires_action" })
        {
            var open = (await client.GetAsync($"/v1/runs?status={status}")).Json.GetProperty("data");
            Assert.True(open.GetArrayLength() == 0, $"{status}: {open}");
        }

        Assert.Equal(0, (await client.GetAsync("/v1/accounts/me")).Json.GetProperty("held_usd").GetDecimal());
    }

    /// <summary>Streams, resumed as often as they break, must come out as a late reader gets them.</summary>
    private static async Task StreamAsync(
        Holder holder, string agent, string path, Acknowledged seen, CancellationToken stop)
    {
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            using var user = new StreamUser(() => holder.Url);
            var ended = await user.StartAsync(path, agent, "Hi", $"{path}-{i}");
            while (!ended)
            {
                await PauseAsync();
                if (user.RunId is null)
                {
                    // Nothing had come: with the key it is the same run, if there was one.
                    ended = await user.StartAsync(path, agent, "Hi", $"{path}-{i}");
                    continue;
                }

                seen.Add(user.RunId);
                seen.Resumed();
                ended = await user.ResumeAsync();
            }

            seen.Add(user.RunId!);
            if (await OrNullAsync(user.ReplayAsync) is { Length: > 0 } replay && StreamUser.IsEnd(replay))
            {
                Assert.Equal(replay, user.Text);
            }
        }
    }

    /// <summary>JSON runs repeated under their key until they answer: one key, one run.</summary>
    private static async Task RetryAsync(Holder holder, string agent, int worker, Acknowledged seen,
        CancellationToken stop)
    {
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            string? known = null;
            while (true)
            {
                var answer = await OrNullAsync(() => SendAsync(holder, "/v1/agents/runs",
                    $$"""{"agent":"{{agent}}","input":"Hi"}""", $"retry-{worker}-{i}"));
                if (answer is null || answer.Status == 503)
                {
                    await PauseAsync();
                    continue;
                }

                // 500: killed in its first attempt and in three more, so recovery gave it up as poisoned.
                Assert.True(answer.Status is 200 or 409 or 500, answer.Text);
                var body = answer.Status == 200 ? answer.Json : answer.Json.GetProperty("error");
                var run = body.GetProperty("run_id").GetString()!;
                Assert.Equal(known ?? run, run);
                known = run;
                seen.Add(run);
                if (answer.Status != 409)
                {
                    Assert.Equal(
                        answer.Status == 200 ? MockModel.Answer : "The server failed on this run again and again.",
                        body.GetProperty(answer.Status == 200 ? "output" : "message").GetString());
                    break;
                }

                await PauseAsync();
            }
        }
    }

    private static async Task CancelAsync(Holder holder, string agent, Acknowledged seen, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var answer = await OrNullAsync(() => SendAsync(holder, "/v1/agents/runs",
                $$"""{"agent":"{{agent}}","input":"Hi","background":true}""", null));
            if (answer is not { Status: 202 })
            {
                await PauseAsync();
                continue;
            }

            var run = answer.Json.GetProperty("run_id").GetString()!;
            seen.Add(run);
            var cancelled = await OrNullAsync(() => SendAsync(holder, $"/v1/runs/{run}/cancel", "", null));
            Assert.True(cancelled is null or { Status: 200 or 503 }, cancelled?.Text);
        }
    }

    private static async Task<TestAnswer> SendAsync(Holder holder, string path, string body, string? key)
    {
        using var client = new TestClient(holder.Url, TestServer.AdminKey);
        return await client.SendAsync("POST", path, body, key is null ? [] : [("Idempotency-Key", key)]);
    }

    private static async Task<T?> OrNullAsync<T>(Func<Task<T>> ask)
        where T : class
    {
        try
        {
            return await ask();
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            return null; // The server was killed meanwhile.
        }
    }

    private static Task PauseAsync() =>
        Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestContext.Current.CancellationToken);

    private sealed class Holder
    {
        private volatile ReeveProcess _server = null!;

        internal ReeveProcess Server
        {
            get => _server;
            set => _server = value;
        }

        internal Uri Url => _server.Url;
    }

    private sealed class Acknowledged
    {
        private readonly HashSet<string> _runs = new(StringComparer.Ordinal);
        private int _resumes;

        internal HashSet<string> Runs => _runs;

        internal int Resumes => _resumes;

        internal int Count
        {
            get
            {
                lock (_runs)
                {
                    return _runs.Count;
                }
            }
        }

        internal void Resumed() => Interlocked.Increment(ref _resumes);

        internal void Add(string run)
        {
            lock (_runs)
            {
                _runs.Add(run);
            }
        }
    }
}
