using System.Text.Json;
using Microsoft.Extensions.Logging;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Runs;

/// <summary>
/// A model call that is slow to begin, and the next route that is asked beside it. <c>mesh/a</c> is asked first: it is
/// cheapest, at 1 USD per million tokens; <c>mesh/b</c> costs 2, <c>mesh/c</c> 3.
/// </summary>
public sealed class HedgingTests : IDisposable
{
    private static readonly TimeSpan HedgeAfter = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100);

    private readonly string _image = TestServer.NewFolder();
    private readonly ScriptedChatClient _a = new();
    private readonly ScriptedChatClient _b = new();
    private readonly ScriptedChatClient _c = new();
    private TestServer? _server;

    public void Dispose()
    {
        _a.Dispose();
        _b.Dispose();
        _c.Dispose();
        Directory.Delete(_image, recursive: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Second_SpeaksFirst_AnswersAloneAndIsAloneCharged(bool isStreamed)
    {
        _a.Reply(Never());
        _b.Reply("Qui", "ck.", Usage(10, 10));
        await using var server = await StartAsync();

        var run = await RunAsync(server, isStreamed);

        Assert.Equal(("completed", "Quick.", "mesh/b", "The call was hedged: mesh/a gave no first token in time."),
            Shown(run));
        var (started, ended) = Calls(server);
        Assert.Equal([("mesh/a", false), ("mesh/b", true)], started.Select(static one => (one.Model, one.Hedge)));
        Assert.Equal([(1, "cancelled", 0L, (long)started[0].PromptTokens), (2, "completed", 40L, 0L)], Ends(ended));
        Assert.Equal((true, 0L, 0L), (ended[0].Estimated, ended[0].InputTokens, ended[0].OutputTokens));
        Assert.DoesNotContain("output.reset", await EventsAsync(server, run), StringComparison.Ordinal);
        await AssertOneIsChargedAsync(server, 40, started[0].PromptTokens);
        var usage = (await server.Client.GetAsync("/v1/usage?group_by=model")).Json;
        Assert.Equal(2, usage.GetProperty("totals").GetProperty("requests").GetInt32());
        Assert.Equal([("mesh/a", 1, 0, 0m), ("mesh/b", 1, 10, 0.00004m)],
            usage.GetProperty("data").EnumerateArray().Select(static one => (one.GetProperty("key").GetString()!,
                one.GetProperty("requests").GetInt32(), one.GetProperty("output_tokens").GetInt32(),
                one.GetProperty("total_usd").GetDecimal())));
        var receipt = (await server.Client.GetAsync(
            $"/v1/runs/{run.GetProperty("run_id").GetString()}/receipt")).Json;
        Assert.Equal("mesh/b", receipt.GetProperty("model").GetString());
        var health = server.Service<ProviderHealth>();
        Assert.True(health.FirstTokenMilliseconds(new RouteKey("mesh/a", "a")) >= 500);
        server.Time.Advance(new ProviderSettings().Timeout); // So long it is heard whether it lives.
        await Eventually.TrueAsync(() => health.Of("a").Report().InFlight == 0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task First_SpeaksFirstAfterAll_AnswersAloneAndIsAloneCharged(bool isStreamed)
    {
        _a.Reply(Later(seconds: 2), "Slow ", "and sure.", Usage(10, 10));
        _b.Reply(Never());
        await using var server = await StartAsync();

        var run = await RunAsync(server, isStreamed);

        Assert.Equal(("completed", "Slow and sure.", "mesh/a",
            "It is the cheapest permitted model of sufficient quality. The call was hedged."), Shown(run));
        var (started, ended) = Calls(server);
        Assert.Equal([(2, "cancelled", 0L, 2L * started[1].PromptTokens), (1, "completed", 20L, 0L)], Ends(ended));
        Assert.DoesNotContain("output.reset", await EventsAsync(server, run), StringComparison.Ordinal);
        await AssertOneIsChargedAsync(server, 20, 2 * started[1].PromptTokens);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_FailsBeforeItsFirstToken_LeavesTheOtherAlone(bool isFirst)
    {
        var fault = new ProviderException(ProviderFault.Overloaded, "busy");
        _a.Reply(isFirst ? [Later(seconds: 2), fault] : [Later(seconds: 4), "Fine.", Usage(10, 10)]);
        _b.Reply(isFirst ? [Later(seconds: 4), "Fine.", Usage(10, 10)] : [fault]);
        await using var server = await StartAsync();

        var run = await RunAsync(server, isStreamed: true);

        Assert.Equal(("Fine.", isFirst ? "mesh/b" : "mesh/a"), (Shown(run).Output, Shown(run).Model));
        var failed = isFirst ? 1 : 2;
        Assert.Equal([(failed, "failed", 0L, 0L), (3 - failed, "completed", isFirst ? 40L : 20L, 0L)],
            Ends(Calls(server).Ended));
        Assert.Equal((1, 1, 0), (_a.Calls, _b.Calls, _c.Calls));
        await AssertOneIsChargedAsync(server, isFirst ? 40 : 20, 0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Both_Fail_GoOnToTheNextRoute(bool isLeft)
    {
        var fault = new ProviderException(ProviderFault.Overloaded, "busy");
        _a.Reply(Later(seconds: 2), fault);
        _b.Reply(Later(seconds: 1), fault);
        _c.Reply(isLeft ? ["Third.", Usage(10, 10)] : [fault]);
        await using var server = await StartAsync();

        var answer = await server.PassTimeUntilAsync(Step, async () => await server.RunAsync(await AgentAsync(server)));

        Assert.Equal(isLeft ? 200 : 503, answer.Status);
        Assert.Equal((1, 1, 1), (_a.Calls, _b.Calls, _c.Calls));
        Assert.Equal([(2, "failed", 0L, 0L), (1, "failed", 0L, 0L), (3, isLeft ? "completed" : "failed",
            isLeft ? 60L : 0L, 0L)], Ends(Calls(server).Ended));
        if (isLeft)
        {
            Assert.Equal("Third.", answer.Json.GetProperty("output").GetString());
            await AssertOneIsChargedAsync(server, 60, 0);
        }
    }

    [Fact]
    public async Task Off_AsByDefault_AsksNobodyElse()
    {
        _a.Reply(Later(seconds: 20), "Alone.", Usage(10, 10));
        await using var server = await StartAsync(hedges: false);

        var run = await RunAsync(server, isStreamed: true);

        Assert.Equal(("completed", "Alone.", "mesh/a", "It is the cheapest permitted model of sufficient quality."),
            Shown(run));
        AssertNobodyElse(server);
    }

    [Fact]
    public async Task First_InTime_AsksNobodyElse()
    {
        _a.Reply("At once", Later(seconds: 3), ", then slowly.", Usage(10, 10));
        await using var server = await StartAsync();

        Assert.Equal("At once, then slowly.", Shown(await RunAsync(server, isStreamed: true)).Output);
        AssertNobodyElse(server);
    }

    /// <summary>
    /// The hold of a call is its prompt and 4,096 tokens of output at the prices of its route, so in micro-USD a little
    /// more than 4,096 for <c>mesh/a</c> and 8,192 for <c>mesh/b</c>.
    /// </summary>
    [Theory]
    [InlineData("balance", 0.010, "")]
    [InlineData("max_credits", 1, "\"max_credits\":6")]
    [InlineData("class", 1, "\"privacy_class\":\"protected\"")]
    [InlineData("switched off", 1, "")]
    [InlineData("as many as it may", 1, "")]
    public async Task Second_ThatIsForbidden_IsNotAsked(string by, double balance, string members)
    {
        _a.Reply(Later(seconds: 3), "Alone.", Usage(10, 10));
        await using var server = await StartAsync(
            balance: (decimal)balance, marks: new PrivacyMarks(true, false, false), isAlone: true);
        var health = server.Service<ProviderHealth>();
        health.Of("b").Settings = new ProviderSettings
        {
            Enabled = by != "switched off",
            MaxConcurrency = 1,
        };
        using var visit = by == "as many as it may" ? health.Of("b").TryEnter() : null;

        var answer = await server.PassTimeUntilAsync(
            Step, async () => await server.RunAsync(await AgentAsync(server), members));

        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal("Alone.", answer.Json.GetProperty("output").GetString());
        AssertNobodyElse(server);
        await AssertOneIsChargedAsync(server, 20, 0);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\"max_credits\":9")]
    public async Task Second_ThatIsCovered_IsAsked(string members)
    {
        // What shows that the limits above are what forbids it there.
        _a.Reply(Never());
        _b.Reply("Quick.", Usage(10, 10));
        await using var server = await StartAsync(balance: 0.014m, isAlone: true);

        var answer = await server.PassTimeUntilAsync(
            Step, async () => await server.RunAsync(await AgentAsync(server), members));

        Assert.Equal("Quick.", answer.Json.GetProperty("output").GetString());
    }

    [Fact]
    public async Task Cancel_WithBothOpen_EndsBothAndChargesTheFirst()
    {
        await using var server = await StartAsync();
        var run = await StartBothAsync(server);

        var cancelled = await server.Client.PostAsync($"/v1/runs/{run}/cancel", "{}");

        Assert.Equal("cancelled", cancelled.Json.GetProperty("status").GetString());
        var (started, ended) = Calls(server);
        Assert.Equal([2, 1], ended.Select(static one => one.Call));
        Assert.Equal(("cancelled", 0L, 2L * started[1].PromptTokens),
            (ended[0].Outcome, ended[0].Charged, ended[0].Lost));
        Assert.Equal(("cancelled", 0L), (ended[1].Outcome, ended[1].Lost));
        await AssertOneIsChargedAsync(server, ended[1].Charged, 2 * started[1].PromptTokens);
        Assert.True(ended[1].Charged > 0);
    }

    [Fact]
    public async Task Deadline_WithBothOpen_EndsBothAndFailsTheRun()
    {
        _a.Reply(Never());
        _b.Reply(Never());
        await using var server = await StartAsync();
        var agent = await AgentAsync(server, ",\"limits\":{\"max_run_seconds\":3}");

        var answer = await server.PassTimeUntilAsync(Step, () => server.RunAsync(agent));

        Assert.Equal((422, "run_limit_exceeded"), (answer.Status, answer.ErrorCode));
        Assert.Equal([(2, "cancelled"), (1, "cancelled")],
            Calls(server).Ended.Select(static one => (one.Call, one.Outcome)));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Stop_WithBothOpen_GoesOnAtTheNextStart()
    {
        var server = await StartAsync();
        await StartBothAsync(server);
        var folder = await server.StopAsync();

        await using var second = await StartOnAsync(folder, "Whole.");

        Assert.Equal(("completed", "Whole."), await EndAsync(second));
        await second.AssertSoundAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Crash_WithBothOpen_BooksBothAsInterruptedAndTheOperatorPays()
    {
        await using var first = await StartAsync();
        await StartBothAsync(first);
        foreach (var file in Directory.GetFiles(first.Folder).Where(static file =>
            Path.GetFileName(file) != "lock" && !file.EndsWith("-shm", StringComparison.Ordinal)))
        {
            File.Copy(file, Path.Combine(_image, Path.GetFileName(file)));
        }

        await using var second = await StartOnAsync(_image, "Whole.");

        Assert.Equal(("completed", "Whole."), await EndAsync(second));
        var (started, ended) = Calls(second);
        Assert.Equal(
            [
                (1, "interrupted", 0L, started[0].PromptTokens), (2, "interrupted", 0L, 2L * started[1].PromptTokens),
                (3, "completed", 20L, 0L),
            ],
            Ends(ended));
        Assert.Equal([false, true, false], started.Select(static one => one.Hedge));
        await AssertOneIsChargedAsync(second, 20, 3 * started[0].PromptTokens);
    }

    [Fact]
    public async Task Chat_Hedged_NamesBothAttempts()
    {
        _a.Reply(Never());
        _b.Reply("Quick.", Usage(10, 10));
        await using var server = await StartAsync();

        var answer = await server.PassTimeUntilAsync(Step, () => server.Client.PostAsync(
            "/v1/chat/completions", """{"model":"auto","messages":[{"role":"user","content":"Hi"}]}"""));

        Assert.True(answer.Status == 200, answer.Text);
        var routing = answer.Json.GetProperty("routing");
        Assert.Equal("mesh/b", routing.GetProperty("model").GetString());
        Assert.Equal("""[{"model":"mesh/a","outcome":"cancelled","code":null},"""
            + "{\"model\":\"mesh/b\",\"outcome\":\"completed\",\"code\":null}]",
            routing.GetProperty("attempts").GetRawText());
        await server.AssertSoundAsync();
    }

    private static Task Never() => new TaskCompletionSource().Task;

    /// <summary>A provider that goes on when so much of the server's time has passed.</summary>
    private Func<Task> Later(int seconds) => () => Task.Delay(TimeSpan.FromSeconds(seconds), _server!.Time);

    private async Task<TestServer> StartAsync(
        bool hedges = true, decimal balance = 10, PrivacyMarks? marks = null, bool isAlone = false) =>
        _server = await TestServer.StartAsync(
            options => options with
            {
                Inference = options.Inference with { HedgeAfter = hedges ? HedgeAfter : null },
                Credits = options.Credits with { StartingBalanceUsd = balance },
            },
            builder =>
            {
                builder.Logging.ClearProviders();
                _a.AddTo(builder, Model("mesh/a", 1, 1), marks);
                _b.AddTo(builder, Model("mesh/b", 2, 2));
                if (!isAlone)
                {
                    _c.AddTo(builder, Model("mesh/c", 3, 3));
                }
            });

    private static Task<TestServer> StartOnAsync(string folder, string text) => TestServer.StartAsync(
        configure: builder =>
        {
            new ScriptedChatClient().Reply(text, Usage(10, 10)).AddTo(builder, Model("mesh/a", 1, 1));
            new ScriptedChatClient().AddTo(builder, Model("mesh/b", 2, 2));
        },
        folder: folder);

    private static async Task<string> AgentAsync(TestServer server, string members = "") =>
        await server.NewAgentAsync("\"model\":\"auto\"" + members);

    /// <summary>A run to its end, as the run object has it.</summary>
    private static async Task<JsonElement> RunAsync(TestServer server, bool isStreamed)
    {
        var agent = await AgentAsync(server);
        var id = await server.PassTimeUntilAsync(Step, async () =>
        {
            if (!isStreamed)
            {
                return (await server.RunAsync(agent)).Json.GetProperty("run_id").GetString()!;
            }

            using var stream = await server.OpenAsync(
                "POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
            var text = await stream.ReadToEndAsync(RunTestExtensions.Cancellation);
            return text[text.IndexOf("run_0", StringComparison.Ordinal)..][..30];
        });
        return (await server.Client.GetAsync($"/v1/runs/{id}")).Json;
    }

    /// <summary>Starts a run whose call and its hedge say nothing, ever; answers once both were asked.</summary>
    private async Task<string> StartBothAsync(TestServer server)
    {
        var asked = new TaskCompletionSource<bool>();
        _a.Reply(Never());
        _b.Reply(() =>
        {
            asked.SetResult(true);
            return Never();
        });
        var run = await server.RunAsync(await AgentAsync(server), "\"background\":true");
        await server.PassTimeUntilAsync(Step, () => asked.Task);
        return run.Json.GetProperty("run_id").GetString()!;
    }

    private static async Task<(string?, string?)> EndAsync(TestServer server)
    {
        await Eventually.TrueAsync(() => server.Service<Capacity>().Runs.Taken == 0);
        var run = (await server.Client.GetAsync("/v1/runs")).Json.GetProperty("data")[0];
        var shown = (await server.Client.GetAsync($"/v1/runs/{run.GetProperty("run_id").GetString()}")).Json;
        return (shown.GetProperty("status").GetString(), shown.GetProperty("output").GetString());
    }

    private static (string? Status, string? Output, string? Model, string? Reason) Shown(JsonElement run) => (
        run.GetProperty("status").GetString(), run.GetProperty("output").GetString(),
        run.GetProperty("route").GetProperty("model").GetString(), run.GetProperty("route_reason").GetString());

    private static async Task<string> EventsAsync(TestServer server, JsonElement run)
    {
        using var stream = await server.OpenAsync(
            "GET", $"/v1/runs/{run.GetProperty("run_id").GetString()}/events", null);
        return await stream.ReadToEndAsync(RunTestExtensions.Cancellation);
    }

    private static (List<ModelCallStarted> Started, List<ModelCallFinished> Ended) Calls(TestServer server)
    {
        var events = server.Database.Read(session => session.List(
            "SELECT type, payload FROM run_events ORDER BY run_id, seq",
            static row => RunEventCodec.Read(row.GetString(0), (byte[])row.GetValue(1))));
        return ([.. events.OfType<ModelCallStarted>()], [.. events.OfType<ModelCallFinished>()]);
    }

    private static IEnumerable<(int, string, long, long)> Ends(List<ModelCallFinished> ended) =>
        ended.Select(static one => (one.Call, one.Outcome, one.Charged, one.Lost));

    private void AssertNobodyElse(TestServer server)
    {
        Assert.Equal((1, 0, 0), (_a.Calls, _b.Calls, _c.Calls));
        Assert.Single(Calls(server).Started);
    }

    /// <summary>Every hold is released, one call is settled, and the rest is the operator's; in micro-USD.</summary>
    private static async Task AssertOneIsChargedAsync(TestServer server, long charged, long lost)
    {
        List<long> Amounts(string type) => server.Database.Read(session => session.List(
            "SELECT amount FROM ledger_entries WHERE type = $1 ORDER BY call", static row => row.GetInt64(0), type));

        Assert.Equal([charged], Amounts("settle"));
        Assert.Equal(lost, Amounts("loss").Sum());
        Assert.Equal(Amounts("hold"), Amounts("release"));
        Assert.Equal(Calls(server).Started.Select(static one => one.Hold), Amounts("hold"));
        await server.AssertSoundAsync();
    }
}
