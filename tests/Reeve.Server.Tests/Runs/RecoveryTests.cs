using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Reeve.Server.Inference;
using Reeve.Server.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Runs;

/// <summary>
/// What the next server makes of runs whose owner is gone. A crash is a copy of the data folder of a server that goes
/// on: it holds what was durable at that moment.
/// </summary>
public sealed class RecoveryTests : IDisposable
{
    private readonly string _image = TestServer.NewFolder();

    [Fact]
    public async Task Crash_InACall_BooksItAsInterruptedAndTheOperatorPays()
    {
        var model = new ScriptedChatClient().Reply("Lost half ", new TaskCompletionSource().Task);
        await using var first = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        using var stream = await first.OpenAsync(
            "POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(await first.NewAgentAsync()));
        var run = RunIdIn(await stream.ReadToAsync("Lost half"));
        TakeImage(first);

        await using var second = await StartOnImageAsync(new ScriptedChatClient().Reply("Whole.", Usage(10, 10)));
        using var whole = await second.OpenAsync("GET", $"/v1/runs/{run}/events", null);
        Assert.Contains("event: output.reset\ndata: {\"reason\":\"recovered\"}\n\n",
            await whole.ReadToEndAsync(RunTestExtensions.Cancellation), StringComparison.Ordinal);

        var started = Events<ModelCallStarted>(second, run);
        var ended = Events<ModelCallFinished>(second, run);
        var lost = (started[0].PromptTokens * 3) + (TokenCounter.Count("Lost half ") * 15);
        Assert.Equal(("interrupted", true, 0L, 0L, lost),
            (ended[0].Outcome, ended[0].Estimated, ended[0].InputTokens, ended[0].Charged, (int)ended[0].Lost));
        Assert.Equal(("completed", 180L, 0L), (ended[1].Outcome, ended[1].Charged, ended[1].Lost));
        Assert.Equal(0.00018m, -(await second.LedgerAsync("type=settle"))[0].GetProperty("amount_usd").GetDecimal());
        await second.AssertSoundAsync();
    }

    [Fact]
    public async Task Crash_BeforeAnyText_ResetsNothing()
    {
        var asked = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply(Gate(asked));
        await using var first = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var run = RunId(await first.RunAsync(await first.NewAgentAsync(), "\"background\":true"));
        await asked.Task;
        TakeImage(first);

        await using var second = await StartOnImageAsync(new ScriptedChatClient().Reply("Whole.", Usage(10, 10)));
        using var whole = await second.OpenAsync("GET", $"/v1/runs/{run}/events", null);
        var text = await whole.ReadToEndAsync(RunTestExtensions.Cancellation);

        Assert.DoesNotContain("output.reset", text, StringComparison.Ordinal);
        Assert.Contains("\"output\":\"Whole.\"", text, StringComparison.Ordinal);
        Assert.Empty(Events<OutputReset>(second, run));
        await second.AssertSoundAsync();
    }

    /// <summary>Longer than what is read of a log at once, and a single character.</summary>
    [Theory]
    [InlineData(600)]
    [InlineData(1)]
    public async Task Crash_AfterManyPiecesOrOne_TakesAllOfThemBack(int pieces)
    {
        var asked = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply([.. Enumerable.Repeat<object>("x", pieces), Gate(asked)]);
        await using var first = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var run = RunId(await first.RunAsync(await first.NewAgentAsync(), "\"background\":true"));
        await asked.Task;
        await Eventually.TrueAsync(() => first.Database.Read(session => session.Count(
            "SELECT count(*) FROM run_events WHERE type = 'message.delta'")) == pieces);
        TakeImage(first);

        await using var second = await StartOnImageAsync(new ScriptedChatClient().Reply("Whole.", Usage(10, 10)));
        using var whole = await second.OpenAsync("GET", $"/v1/runs/{run}/events", null);
        var text = await whole.ReadToEndAsync(RunTestExtensions.Cancellation);

        Assert.Contains($"id: {pieces + 2}\nevent: output.reset\n", text, StringComparison.Ordinal);
        Assert.Contains("\"output\":\"Whole.\"", text, StringComparison.Ordinal);
        await second.AssertSoundAsync();
    }

    [Fact]
    public async Task Cancel_OfAWaitingRunThatACrashCutOff_DoesNotWaitForItsTurn()
    {
        var asked = new TaskCompletionSource();
        await using var first = await TestServer.StartAsync(
            configure: builder => new ScriptedChatClient().Reply(Gate(asked)).AddTo(builder));
        var agent = await first.NewAgentAsync();
        var running = await first.RunAsync(agent, "\"background\":true");
        await asked.Task;
        var queued = await first.RunAsync(agent, "\"background\":true,\"on_busy\":\"queue\","
            + $"\"conversation_id\":\"{running.Json.GetProperty("conversation_id").GetString()}\"");
        await first.Database.WriteAsync(session => session.Execute(
            "UPDATE runs SET cancel_requested_at = created_at WHERE id = $1", RunId(queued)));
        TakeImage(first);

        await using var second = await StartOnImageAsync(
            new ScriptedChatClient().Reply(new TaskCompletionSource().Task));

        Assert.Equal("running", await StatusAsync(second, running));
        Assert.Equal("cancelled", await StatusAsync(second, queued));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Cancel_ThatACrashCutOff_EndsTheRunAtTheNextStart(bool isQueued)
    {
        var asked = new TaskCompletionSource();
        var isTaken = false;
        TestServer? taken = null;
        var model = new ScriptedChatClient().Reply(Gate(asked));
        await using var first = taken = await TestServer.StartAsync(configure: builder =>
        {
            model.AddTo(builder);
            builder.Services.AddSingleton(new Failpoints(name =>
            {
                if (name == Failpoints.CancelRequested && !isTaken)
                {
                    TakeImage(taken!);
                    isTaken = true;
                }
            }));
        });
        var agent = await first.NewAgentAsync();
        var running = await first.RunAsync(agent, "\"background\":true");
        await asked.Task;
        var queued = await first.RunAsync(agent, "\"background\":true,\"on_busy\":\"queue\","
            + $"\"conversation_id\":\"{running.Json.GetProperty("conversation_id").GetString()}\"");
        await first.Client.PostAsync($"/v1/runs/{RunId(isQueued ? queued : running)}/cancel", "{}");
        Assert.True(isTaken);

        var again = new ScriptedChatClient().Reply("Done.", Usage(1, 1));
        await using var second = await StartOnImageAsync(again);
        await Eventually.TrueAsync(() => second.Service<Capacity>().Runs.Taken == 0);

        Assert.Equal(isQueued ? "completed" : "cancelled", await StatusAsync(second, running));
        Assert.Equal(isQueued ? "cancelled" : "completed", await StatusAsync(second, queued));
        Assert.Equal(1, again.Calls);
        await second.AssertSoundAsync();
    }

    [Fact]
    public async Task DamagedLog_IsLeftAndTheOthersGoOn()
    {
        var asked = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply(Gate(asked));
        await using var first = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await first.NewAgentAsync();
        var damaged = await first.RunAsync(agent, "\"background\":true");
        var whole = await first.RunAsync(agent, "\"background\":true");
        await asked.Task;
        await first.Database.WriteAsync(session =>
        {
            session.Execute("DROP TRIGGER run_events_erase_only");
            return session.Execute("UPDATE run_events SET payload = x'7B' WHERE run_id = $1 AND seq = 1",
                RunId(damaged));
        });
        TakeImage(first);

        await using var second = await StartOnImageAsync(new ScriptedChatClient().Reply("Whole.", Usage(1, 1)));
        await Eventually.TrueAsync(() => second.Service<Capacity>().Runs.Taken == 0);

        Assert.Equal("completed", await StatusAsync(second, whole));
        Assert.Equal("running", second.Database.Read(session => session.Single(
            "SELECT status FROM runs WHERE id = $1", static row => row.GetString(0), RunId(damaged))));
    }

    public void Dispose() => Directory.Delete(_image, recursive: true);

    /// <summary>A model that says when it was asked, and then nothing.</summary>
    private static Func<Task> Gate(TaskCompletionSource asked) => () =>
    {
        asked.TrySetResult();
        return new TaskCompletionSource().Task;
    };

    private void TakeImage(TestServer server)
    {
        foreach (var file in Directory.GetFiles(server.Folder).Where(static file =>
            Path.GetFileName(file) != "lock" && !file.EndsWith("-shm", StringComparison.Ordinal)))
        {
            File.Copy(file, Path.Combine(_image, Path.GetFileName(file)));
        }
    }

    private Task<TestServer> StartOnImageAsync(ScriptedChatClient model) => TestServer.StartAsync(
        configure: builder =>
        {
            model.AddTo(builder);
            builder.Logging.ClearProviders();
        },
        folder: _image);

    private static List<T> Events<T>(TestServer server, string run)
        where T : RunEventData => [.. server.Database.Read(session => session.List(
            "SELECT type, payload FROM run_events WHERE run_id = $1 ORDER BY seq",
            static row => RunEventCodec.Read(row.GetString(0), (byte[])row.GetValue(1)), run)).OfType<T>()];

    private static async Task<string?> StatusAsync(TestServer server, TestAnswer run) =>
        (await server.Client.GetAsync($"/v1/runs/{RunId(run)}")).Json.GetProperty("status").GetString();

    private static string RunId(TestAnswer answer) => answer.Json.GetProperty("run_id").GetString()!;

    private static string RunIdIn(string text) => text[text.IndexOf("run_0", StringComparison.Ordinal)..][..30];
}
