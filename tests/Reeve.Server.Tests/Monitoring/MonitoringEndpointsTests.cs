using Microsoft.Extensions.DependencyInjection;
using Reeve.Server.Inference;
using Reeve.Server.Monitoring;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Monitoring;

public sealed class MonitoringEndpointsTests
{
    [Fact]
    public async Task Logs_ShowEachRequestWithoutContent_NewestFirst()
    {
        var model = new ScriptedChatClient().Reply("The secret answer.");
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var run = await server.RunAsync(agent, "\"input\":\"A secret question?\",\"metadata\":{\"a\":\"secret\"}");
        var missing = await server.Client.GetAsync("/v1/agents/nobody");
        var refused = await server.Client.GetAsync("/v1/runs?secret=1");

        var logs = await server.Client.GetAsync("/v1/logs");

        var rows = logs.Json.GetProperty("data").EnumerateArray().ToList();
        Assert.Equal(
            [
                "GET /v1/runs 400 invalid_request", "GET /v1/agents/nobody 404 not_found", "POST /v1/agents/runs 200 ",
                "POST /v1/agents 201 ",
            ],
            rows.Select(static row => $"{row.GetProperty("method").GetString()} {row.GetProperty("path").GetString()} "
                + $"{row.GetProperty("status").GetInt32()} {row.GetProperty("code").GetString()}"));
        Assert.Equal([refused.Header("x-request-id"), missing.Header("x-request-id"), run.Header("x-request-id")],
            rows.Take(3).Select(static row => row.GetProperty("request_id").GetString()));
        Assert.Equal(run.Json.GetProperty("run_id").GetString(), rows[2].GetProperty("run_id").GetString());
        Assert.Equal("mesh/house-1", rows[2].GetProperty("model").GetString());
        Assert.Equal("null", rows[1].GetProperty("model").GetRawText());
        Assert.Matches("^key_", rows[0].GetProperty("key_id").GetString());
        Assert.DoesNotContain("secret", logs.Text, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Summary_CountsAChatThatIsAnswered()
    {
        var gate = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(
            configure: builder => new ScriptedChatClient().Reply("Wait", gate.Task).AddTo(builder));
        const string Body =
            """{"model":"mesh/house-1","stream":true,"messages":[{"role":"user","content":"Hi"}]}""";
        using var stream = await server.OpenAsync("POST", "/v1/chat/completions", Body);
        await stream.ReadToAsync("Wait");

        Assert.Equal(1, await ActiveAsync());
        gate.SetResult();
        await stream.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, await ActiveAsync());

        async Task<int> ActiveAsync() => (await server.Client.GetAsync("/v1/monitoring/summary")).Json
            .GetProperty("runs").GetProperty("active").GetInt32();
    }

    [Fact]
    public async Task Logs_KeyInAPath_IsNotKept()
    {
        await using var server = await TestServer.StartAsync();
        await server.Client.GetAsync($"/v1/runs/{TestServer.AdminKey}-x_{TestServer.AdminKey}");
        var row = (await server.Client.GetAsync("/v1/logs")).Json.GetProperty("data")[0];
        Assert.Equal("/v1/runs/mesh_live_-x_mesh_live_", row.GetProperty("path").GetString());
    }

    [Fact]
    public async Task Logs_InPages_ShowEachRecordOnce()
    {
        await using var server = await TestServer.StartAsync();
        for (var i = 0; i < 7; i++)
        {
            await server.Client.GetAsync($"/v1/runs/{i}");
        }

        var paths = new List<string>();
        var after = "";
        do
        {
            var page = await server.Client.GetAsync($"/v1/logs?limit=3{after}");
            paths.AddRange(page.Json.GetProperty("data").EnumerateArray()
                .Select(static row => row.GetProperty("path").GetString()!));
            after = page.Json.GetProperty("has_more").GetBoolean()
                ? $"&after={page.Json.GetProperty("next_cursor").GetString()}"
                : "";
        }
        while (after.Length > 0);

        Assert.Equal(Enumerable.Range(0, 7).Reverse().Select(static i => $"/v1/runs/{i}"), paths);
    }

    [Fact]
    public async Task Logs_OfRefusedRequests_AreKept_AndThoseWithoutAKeyAreNot()
    {
        await using var server = await TestServer.StartAsync();
        using var chat = server.ClientFor(await server.NewKeyAsync("\"scopes\":[\"chat\"]"));
        using var limited = server.ClientFor(
            await server.NewKeyAsync("\"scopes\":[\"usage\"],\"limits\":{\"requestsPerMinute\":1}"));
        using var nobody = server.ClientFor(null);

        await chat.GetAsync("/v1/usage");
        await limited.GetAsync("/v1/usage");
        await limited.GetAsync("/v1/usage");
        await nobody.GetAsync("/v1/usage");
        await nobody.GetAsync("/health/live");
        var logs = await server.Client.GetAsync("/v1/logs?limit=3");

        Assert.Equal(["429 rate_limited", "200 ", "403 forbidden"], logs.Json.GetProperty("data").EnumerateArray()
            .Select(static row => $"{row.GetProperty("status").GetInt32()} {row.GetProperty("code").GetString()}"));
    }

    [Fact]
    public async Task Logs_OfAnotherAccount_AreForTheFirstAccountsAdminsAlone()
    {
        await using var server = await TestServer.StartAsync();
        var made = await server.Client.PostAsync("/v1/accounts", """{"name":"Other"}""");
        var (account, key) = (made.Json.GetProperty("id").GetString(), made.Json.GetProperty("key").GetString());
        var own = (await server.Client.GetAsync("/v1/accounts/me")).Json.GetProperty("id").GetString();
        using var other = server.ClientFor(key);
        using var usage = server.ClientFor(await server.NewKeyAsync("\"scopes\":[\"usage\"]"));
        await other.GetAsync("/v1/runs/theirs");

        var theirs = await server.Client.GetAsync($"/v1/logs?accountId={account}");
        var mine = await other.GetAsync($"/v1/logs?accountId={account}");
        var foreign = await other.GetAsync($"/v1/logs?accountId={own}");
        var notAdmin = await usage.GetAsync($"/v1/logs?accountId={account}");

        Assert.Equal(["/v1/runs/theirs"], theirs.Json.GetProperty("data").EnumerateArray()
            .Select(static row => row.GetProperty("path").GetString()));
        Assert.Equal(1, mine.Json.GetProperty("data").GetArrayLength());
        Assert.Equal((404, 404), (foreign.Status, notAdmin.Status));
    }

    [Theory]
    [InlineData("/v1/logs?limit=0", "limit")]
    [InlineData("/v1/logs?after=run_06F7557C5CM18FNXB2V5D4V72R", "after")]
    [InlineData("/v1/logs?status=200", "status")]
    [InlineData("/v1/monitoring/summary?window=2h", "window")]
    [InlineData("/v1/monitoring/summary?windows=1h", "windows")]
    public async Task Query_ThatIsWrong_IsRefused(string path, string param)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.Client.GetAsync(path);

        Assert.Equal((400, param), (answer.Status, answer.ErrorParam));
    }

    [Fact]
    public async Task Monitoring_WithoutTheScopeUsage_IsForbidden()
    {
        await using var server = await TestServer.StartAsync();
        using var chat = server.ClientFor(await server.NewKeyAsync("\"scopes\":[\"chat\",\"agents\",\"keys\"]"));

        foreach (var path in new[] { "/v1/logs", "/v1/monitoring/summary" })
        {
            var answer = await chat.GetAsync(path);
            Assert.Equal((403, "usage"), (answer.Status, answer.ErrorParam));
        }
    }

    [Fact]
    public async Task Summary_SumsTheWindowAlone()
    {
        var model = new ScriptedChatClient().Reply("Old.", ScriptedChatClient.Usage(1_000, 100));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        await server.RunAsync(agent);
        server.Time.Advance(TimeSpan.FromMinutes(10));
        await server.RunAsync(agent);
        var gate = new TaskCompletionSource();
        model.Reply(gate.Task, "Slow.");
        var running = await server.RunAsync(agent, "\"background\":true");
        await Eventually.TrueAsync(() => model.Calls == 3);
        model.Reply(new ProviderException(ProviderFault.Refused, "no"));
        var failed = await server.RunAsync(agent);

        var five = (await server.Client.GetAsync("/v1/monitoring/summary?window=5m")).Json;
        var hour = (await server.Client.GetAsync("/v1/monitoring/summary")).Json;
        gate.SetResult();

        Assert.Equal((202, 503), (running.Status, failed.Status));
        Assert.Equal("5m 3 1 0.3333 1 1 0 1 0.0045", Figures(five));
        Assert.Equal("1h 6 1 0.1667 2 1 0 1 0.009", Figures(hour));
        Assert.Equal("""{"p50":0,"p95":0,"p99":0}""", hour.GetProperty("latency_ms").GetRawText());
    }

    [Fact]
    public async Task Summary_OfNothing_HasNoLatencies()
    {
        await using var server = await TestServer.StartAsync(options => options with
        {
            Limits = options.Limits with { RequestLogDays = 0 },
        });
        await server.Client.GetAsync("/v1/runs");

        var summary = await server.Client.GetAsync("/v1/monitoring/summary?window=7d");
        var logs = await server.Client.GetAsync("/v1/logs");

        Assert.Equal("7d 0 0 0 0 0 0 0 0", Figures(summary.Json));
        Assert.Equal("""{"p50":null,"p95":null,"p99":null}""", summary.Json.GetProperty("latency_ms").GetRawText());
        Assert.Equal("[]", logs.Json.GetProperty("data").GetRawText());
    }

    [Fact]
    public async Task Records_AreForgottenAfterTheirDays_AndSurviveAStop()
    {
        await using var first = await TestServer.StartAsync();
        await first.Client.GetAsync("/v1/runs/old");
        first.Time.Advance(TimeSpan.FromDays(6));
        await first.Client.GetAsync("/v1/runs/young");
        first.Time.Advance(TimeSpan.FromDays(2));

        await Eventually.TrueAsync(() => first.Database.Read(
            static session => session.Count("SELECT count(*) FROM request_log WHERE path = '/v1/runs/old'")) == 0);
        var logs = await first.Client.GetAsync("/v1/logs");

        Assert.Equal(["/v1/runs/young"], logs.Json.GetProperty("data").EnumerateArray()
            .Select(static row => row.GetProperty("path").GetString()));
    }

    [Fact]
    public async Task Records_AreWrittenAtAStop()
    {
        var folder = TestServer.NewFolder();
        try
        {
            await using (var first = await TestServer.StartAsync(folder: folder))
            {
                await first.Client.GetAsync("/v1/runs/last");
            }

            await using var second = await TestServer.StartAsync(folder: folder);
            var logs = await second.Client.GetAsync("/v1/logs");
            Assert.Equal(["/v1/runs/last"], logs.Json.GetProperty("data").EnumerateArray()
                .Select(static row => row.GetProperty("path").GetString()));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Records_ThatComeFasterThanTheyAreWritten_AreBounded()
    {
        await using var server = await TestServer.StartAsync();
        var account = (await server.Client.GetAsync("/v1/accounts/me")).Json.GetProperty("id").GetString()!;
        server.Time.Advance(TimeSpan.FromSeconds(1)); // The first sweep is over before there is anything to sweep.
        await Eventually.TrueAsync(() => Count() > 0);

        await AddAsync(60_000);

        Assert.InRange(Count(), 50_000, 50_001);
        await AddAsync(50_000);
        await AddAsync(50_000);
        Assert.True(Count() >= 150_000);
        server.Time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => Count() == 100_000);

        long Count() => server.Database.Read(static session => session.Count("SELECT count(*) FROM request_log"));

        Task AddAsync(int count)
        {
            var log = server.App.Services.GetRequiredService<RequestLog>();
            var ids = server.Service<IdGenerator>();
            for (var i = 0; i < count; i++)
            {
                log.Add(new RequestRecord(
                    account, ids.New("req"), "key_x", "GET", "/x", 200, null, null, 1, TestServer.StartTime));
            }

            return log.FlushAsync();
        }
    }

    private static string Figures(System.Text.Json.JsonElement summary)
    {
        var runs = summary.GetProperty("runs");
        return string.Join(' ', summary.GetProperty("window").GetString(), summary.GetProperty("requests").GetRawText(),
            summary.GetProperty("errors").GetRawText(), summary.GetProperty("error_rate").GetRawText(),
            runs.GetProperty("completed").GetRawText(), runs.GetProperty("failed").GetRawText(),
            runs.GetProperty("cancelled").GetRawText(), runs.GetProperty("active").GetRawText(),
            summary.GetProperty("total_usd").GetRawText());
    }
}
