using System.Text.Json;
using Reeve.Server.Inference;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Runs;

public sealed class RunControlTests
{
    [Fact]
    public async Task Cancel_OfARunningRun_EndsItOnceAndChargesWhatCame()
    {
        var model = new ScriptedChatClient().Reply("Half of ", new TaskCompletionSource().Task);
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        using var stream = await server.OpenAsync("POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
        var head = await stream.ReadToAsync("Half of");
        var run = RunIdIn(head);

        var cancelled = await server.Client.PostAsync($"/v1/runs/{run}/cancel", "");
        var again = await server.Client.PostAsync($"/v1/runs/{run}/cancel", "{}");
        var rest = await stream.ReadToEndAsync(RunTestExtensions.Cancellation);

        Assert.Equal("cancelled", cancelled.Json.GetProperty("status").GetString());
        Assert.Equal("Half of ", cancelled.Json.GetProperty("output").GetString());
        Assert.Equal(cancelled.Text, again.Text);
        Assert.Contains("event: run.cancelled\ndata: {}\n\n", rest, StringComparison.Ordinal);
        Assert.True(cancelled.Json.GetProperty("credits_used").GetDecimal() > 0);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task BusyConversation_RejectsQueuesOrInterrupts()
    {
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply(gate.Task, "First.", Usage(1, 1)).Reply("Second.", Usage(1, 1));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var first = await server.RunAsync(agent, "\"background\":true");
        var conversation = $"\"conversation_id\":\"{first.Json.GetProperty("conversation_id").GetString()}\"";

        var rejected = await server.RunAsync(agent, conversation);
        var queued = await server.RunAsync(agent, conversation + ",\"on_busy\":\"queue\",\"background\":true");
        gate.SetResult();
        using var stream = await server.OpenAsync("GET", $"/v1/runs/{RunId(queued)}/events", null);
        var text = await stream.ReadToEndAsync(RunTestExtensions.Cancellation);

        Assert.Equal(202, first.Status);
        Assert.Equal("running", first.Json.GetProperty("status").GetString());
        Assert.Equal(JsonValueKind.Null, first.Json.GetProperty("receipt_id").ValueKind);
        Assert.Equal((409, "conversation_busy"), (rejected.Status, rejected.ErrorCode));
        Assert.Equal(RunId(first), rejected.Json.GetProperty("error").GetProperty("run_id").GetString());
        Assert.Equal((202, "queued"), (queued.Status, queued.Json.GetProperty("status").GetString()));
        Assert.Contains("\"output\":\"Second.\"", text, StringComparison.Ordinal);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Interrupt_CancelsTheActiveRunAndTheQueue()
    {
        var model = new ScriptedChatClient().Reply(new TaskCompletionSource().Task).Reply("Now.", Usage(1, 1));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var first = await server.RunAsync(agent, "\"background\":true");
        var conversation = $"\"conversation_id\":\"{first.Json.GetProperty("conversation_id").GetString()}\"";
        var queued = await server.RunAsync(agent, conversation + ",\"on_busy\":\"queue\",\"background\":true");

        var third = await server.RunAsync(agent, conversation + ",\"on_busy\":\"interrupt\"");

        Assert.Equal("Now.", third.Json.GetProperty("output").GetString());
        foreach (var run in new[] { first, queued })
        {
            var shown = await server.Client.GetAsync($"/v1/runs/{RunId(run)}");
            Assert.Equal("cancelled", shown.Json.GetProperty("status").GetString());
        }

        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Queue_TakesTenWaitingRunsAndNoMore()
    {
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply(gate.Task, "x", Usage(1, 1));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var first = await server.RunAsync(agent, "\"background\":true");
        var waiting = $"\"conversation_id\":\"{first.Json.GetProperty("conversation_id").GetString()}\","
            + "\"on_busy\":\"queue\",\"background\":true";

        var runs = new List<TestAnswer>();
        for (var i = 0; i < 10; i++)
        {
            runs.Add(await server.RunAsync(agent, waiting));
        }

        var eleventh = await server.RunAsync(agent, waiting);
        gate.SetResult();
        using var stream = await server.OpenAsync("GET", $"/v1/runs/{RunId(runs[^1])}/events", null);
        await stream.ReadToEndAsync(RunTestExtensions.Cancellation);

        Assert.All(runs, run => Assert.Equal(202, run.Status));
        Assert.Equal((409, "conversation_busy"), (eleventh.Status, eleventh.ErrorCode));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task IdempotencyKey_ReplaysRefusesAndConflicts()
    {
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply(gate.Task, "Once.", Usage(10, 10));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();

        var first = SendAsync(server, RunTestExtensions.Body(agent));
        while (server.Database.Read(session => session.Count("SELECT count(*) FROM runs")) == 0)
        {
            await Task.Yield();
        }

        var running = await SendAsync(server, RunTestExtensions.Body(agent));
        var background = await SendAsync(server, RunTestExtensions.Body(agent, "\"background\":true"));
        gate.SetResult();
        var answer = await first;
        var replay = await SendAsync(server, RunTestExtensions.Body(agent));
        var other = await SendAsync(server, RunTestExtensions.Body(agent, "\"input\":\"Other\""));

        Assert.Equal((409, "conflict"), (running.Status, running.ErrorCode));
        Assert.Equal(202, background.Status);
        Assert.Equal(answer.Text, replay.Text);
        Assert.Equal("true", replay.Header("Idempotent-Replayed"));
        Assert.Null(answer.Header("Idempotent-Replayed"));
        Assert.Equal(answer.Header("x-mesh-total-usd"), replay.Header("x-mesh-total-usd"));
        Assert.Equal((422, "idempotency_mismatch"), (other.Status, other.ErrorCode));
        Assert.Equal(1, model.Calls);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task IdempotencyKey_SentFiftyTimesAtOnce_MakesOneRun()
    {
        var model = new ScriptedChatClient().Reply("Once.", Usage(10, 10));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();

        var answers = await Task.WhenAll(
            Enumerable.Range(0, 50).Select(_ => SendAsync(server, RunTestExtensions.Body(agent))));

        Assert.All(answers, answer => Assert.Contains(answer.Status, new[] { 200, 409 }));
        Assert.Single(answers.Where(answer => answer.Status == 200).Select(answer => answer.Text).Distinct());
        Assert.Equal(1, model.Calls);
        Assert.Equal(1, server.Database.Read(session => session.Count("SELECT count(*) FROM runs")));
    }

    [Fact]
    public async Task IdempotencyKey_OfAFailedRun_ReplaysItsErrorWithItsRequest()
    {
        var model = new ScriptedChatClient().Reply(
            new ProviderException(ProviderFault.Overloaded, "busy"));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();

        var first = await SendAsync(server, RunTestExtensions.Body(agent));
        var replay = await SendAsync(server, RunTestExtensions.Body(agent));

        Assert.Equal(503, first.Status);
        Assert.Equal(first.Text, replay.Text);
        Assert.NotEqual(first.Header("x-request-id"), replay.Header("x-request-id"));
        Assert.Equal(1, model.Calls);
    }

    [Fact]
    public async Task Disconnect_CancelsOnlyWhenAsked()
    {
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient()
            .Reply("a", gate.Task, "b", Usage(1, 1))
            .Reply("a", gate.Task, "b", Usage(1, 1));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var runs = new List<string>();
        foreach (var mode in new[] { "cancel", "continue" })
        {
            using var stream = await server.OpenAsync("POST", "/v1/agents/runs?stream=true",
                RunTestExtensions.Body(agent, $"\"on_disconnect\":\"{mode}\""));
            runs.Add(RunIdIn(await stream.ReadToAsync("\"a\"")));
        }

        using var cancelled = await server.OpenAsync("GET", $"/v1/runs/{runs[0]}/events", null);
        Assert.Contains("run.cancelled", await cancelled.ReadToEndAsync(RunTestExtensions.Cancellation),
            StringComparison.Ordinal);
        gate.SetResult();
        using var goesOn = await server.OpenAsync("GET", $"/v1/runs/{runs[1]}/events", null);
        Assert.Contains("\"output\":\"ab\"", await goesOn.ReadToEndAsync(RunTestExtensions.Cancellation),
            StringComparison.Ordinal);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task MaxRunSeconds_Passed_EndsTheRun()
    {
        var model = new ScriptedChatClient().Reply(new TaskCompletionSource().Task);
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync("\"limits\":{\"max_run_seconds\":60}");

        var answer = await server.PassTimeUntilAsync(TimeSpan.FromSeconds(10), () => server.RunAsync(agent));

        Assert.Equal((422, "run_limit_exceeded", "limits.max_run_seconds"),
            (answer.Status, answer.ErrorCode, answer.ErrorParam));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Restart_InTheMiddleOfAStream_FinishesTheRunAndChargesOnce()
    {
        var model = new ScriptedChatClient().Reply("Lost half ", new TaskCompletionSource().Task);
        var first = await TestServer.StartAsync(
            configure: builder => model.AddTo(builder), folder: TestServer.NewFolder());
        var agent = await first.NewAgentAsync();
        using var stream = await first.OpenAsync("POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
        var before = await stream.ReadToAsync("Lost half");
        var folder = await first.StopAsync();

        var again = new ScriptedChatClient().Reply("Whole.", Usage(10, 10));
        await using var second = await TestServer.StartAsync(
            configure: builder => again.AddTo(builder), folder: folder);
        var run = RunIdIn(before);
        var answer = await second.Client.SendAsync("GET", $"/v1/runs/{run}/events", null, ("Last-Event-ID", "2"));
        var whole = await second.Client.GetAsync($"/v1/runs/{run}/events");

        Assert.StartsWith("id: 3\nevent: output.reset\ndata: {\"reason\":\"recovered\"}\n\n", answer.Text,
            StringComparison.Ordinal);
        Assert.Contains("\"output\":\"Whole.\"", answer.Text, StringComparison.Ordinal);
        Assert.Equal(whole.Text, before + answer.Text);
        Assert.Equal(0.00018m, -(await second.LedgerAsync("type=settle"))[0].GetProperty("amount_usd").GetDecimal());
        await second.AssertSoundAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Delete_OfAConversation_CancelsItsRunAndErasesIt()
    {
        var model = new ScriptedChatClient().Reply("secret words", new TaskCompletionSource().Task);
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        using var stream = await server.OpenAsync("POST", "/v1/agents/runs?stream=true",
            RunTestExtensions.Body(agent, "\"input\":\"private question\""));
        var head = await stream.ReadToAsync("secret words");
        var run = RunIdIn(head);
        var conversation = head[head.IndexOf("conv_", StringComparison.Ordinal)..][..31];

        var deleted = await server.Client.DeleteAsync($"/v1/conversations/{conversation}");

        Assert.Equal(204, deleted.Status);
        Assert.Contains("run.cancelled", await stream.ReadToEndAsync(RunTestExtensions.Cancellation),
            StringComparison.Ordinal);
        Assert.Equal(404, (await server.Client.GetAsync($"/v1/runs/{run}")).Status);
        Assert.Equal(404, (await server.Client.GetAsync($"/v1/runs/{run}/events")).Status);
        Assert.Equal(404, (await server.Client.DeleteAsync($"/v1/conversations/{conversation}")).Status);
        Assert.Equal(0, server.Database.Read(session => session.Count(
            "SELECT count(*) FROM run_events WHERE payload IS NOT NULL")));
        await server.AssertSoundAsync();
    }

    private static Task<TestAnswer> SendAsync(TestServer server, string body) =>
        server.Client.SendAsync("POST", "/v1/agents/runs", body, ("Idempotency-Key", "k1"));

    private static string RunId(TestAnswer answer) => answer.Json.GetProperty("run_id").GetString()!;

    private static string RunIdIn(string text) => text[text.IndexOf("run_0", StringComparison.Ordinal)..][..30];
}
