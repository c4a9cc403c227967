using Reeve.Server.Runs;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Matrix;

public sealed class RaceTests
{
    [Fact]
    public async Task Cancel_AgainstCompletion_GivesOneEndThatTheLedgerAgreesWith()
    {
        const int Rounds = 200;
        var gates = Enumerable.Range(0, Rounds)
            .Select(_ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).ToArray();
        var model = new ScriptedChatClient();
        foreach (var gate in gates)
        {
            model.Reply("Part. ", gate.Task, "Rest.", Usage(100, 10));
        }

        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var ends = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var round = 0; round < Rounds; round++)
        {
            var started = await server.RunAsync(agent, "\"background\":true");
            var run = RunId(started);
            await Eventually.TrueAsync(() => model.Calls > round);
            var answer = await RaceAsync(server, run, gates[round], round % 5);
            var events = await server.Client.GetAsync($"/v1/runs/{run}/events");
            var end = answer.Json.GetProperty("status").GetString()!;
            ends[end] = ends.GetValueOrDefault(end) + 1;

            Assert.Equal(1, Count(events.Text, "event: run.completed\n") + Count(events.Text, "event: run.cancelled\n")
                + Count(events.Text, "event: run.failed\n"));
            Assert.Contains($"event: run.{end}\n", events.Text, StringComparison.Ordinal);
        }

        Assert.Equal(["cancelled", "completed"], ends.Keys.Order());
        await server.AssertSoundAsync();
    }

    /// <summary>Head starts of different sizes, from the one end to the other, so that both sides win.</summary>
    private static async Task<TestAnswer> RaceAsync(TestServer server, string run, TaskCompletionSource gate, int start)
    {
        if (start <= 1)
        {
            gate.SetResult();
        }

        if (start == 0)
        {
            await server.Client.GetAsync($"/v1/runs/{run}/events"); // To its end.
        }

        var cancel = server.Client.PostAsync($"/v1/runs/{run}/cancel", "");
        if (start == 4)
        {
            await cancel;
        }
        else if (start == 3)
        {
            await Eventually.TrueAsync(() => cancel.IsCompleted
                || server.Service<RunLog>().Live.All(live => live.RunId != run || live.IsCancelRequested));
        }

        gate.TrySetResult();
        return await cancel;
    }

    [Theory]
    [InlineData("/v1/agents/runs")]
    [InlineData("/api/run")]
    public async Task Conversation_WithTwoRequestsAtOnce_RunsExactlyOne(string path)
    {
        const int Rounds = 40;
        var model = new ScriptedChatClient().Reply("Hello.", Usage(1, 1));
        for (var round = 0; round < Rounds; round++)
        {
            model.Reply(GateOf(round).Task, "Hello.", Usage(1, 1));
        }

        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var conversation = (await server.RunAsync(agent)).Json.GetProperty("conversation_id").GetString();
        var body = path == "/api/run"
            ? $$"""{"query":"Hi","stream":false,"task_id":"{{conversation}}"}"""
            : RunTestExtensions.Body(agent, $"\"conversation_id\":\"{conversation}\"");
        for (var round = 0; round < Rounds; round++)
        {
            var calls = Enumerable.Range(0, 4)
                .Select(_ => server.Client.SendAsync("POST", path, body, ("X-Agent-Id", agent))).ToList();
            for (var refused = 0; refused < 3; refused++)
            {
                var done = await Task.WhenAny(calls).WaitAsync(TestServer.Timeout, RunTestExtensions.Cancellation);
                calls.Remove(done);
                var answer = await done;
                Assert.Equal((409, "conversation_busy"), (answer.Status, answer.ErrorCode));
            }

            GateOf(round).SetResult();
            Assert.Equal(200, (await calls[0]).Status);
        }

        Assert.Equal(Rounds + 1, server.Database.Read(session => session.Count("SELECT count(*) FROM runs")));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Conversations_DeletedWhileTheyRun_AreGoneAndPaid()
    {
        const int Conversations = 50;
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply("secret ", gate.Task, "words", Usage(10, 10));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var started = await Task.WhenAll(
            Enumerable.Range(0, Conversations).Select(_ => server.RunAsync(agent, "\"background\":true")));
        await Eventually.TrueAsync(() => model.Calls == Conversations);

        var deletes = started.Select((run, i) => i % 2 == 0
            ? server.Client.DeleteAsync($"/v1/conversations/{run.Json.GetProperty("conversation_id").GetString()}")
            : server.Client.SendAsync("DELETE", $"/api/tasks/{run.Json.GetProperty("conversation_id").GetString()}",
                null, ("X-Agent-Id", agent))).ToList();
        gate.SetResult();
        var answers = await Task.WhenAll(deletes);

        Assert.All(answers, answer => Assert.Equal(204, answer.Status));
        foreach (var run in started)
        {
            Assert.Equal(404, (await server.Client.GetAsync($"/v1/runs/{RunId(run)}")).Status);
        }

        Assert.Equal(0, server.Database.Read(session => session.Count(
            "SELECT count(*) FROM run_events WHERE payload IS NOT NULL")));
        Assert.Equal(0, server.Database.Read(session => session.Count(
            "SELECT count(*) FROM runs WHERE input IS NOT NULL OR output <> ''")));
        Assert.Empty(server.Service<RunLog>().Live);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Key_Revoked_LosesItsStreamAndItsRunGoesOn()
    {
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply("Half ", gate.Task, "and whole.", Usage(5, 5));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var made = await server.Client.PostAsync("/v1/api-keys", """{"name":"short","scopes":["chat"]}""");
        using var client = server.ClientFor(made.Json.GetProperty("key").GetString());
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/agents/runs?stream=true")
        {
            Content = new StringContent(RunTestExtensions.Body(agent)),
        };
        using var answer = await client.Http.SendAsync(
            request, HttpCompletionOption.ResponseHeadersRead, RunTestExtensions.Cancellation);
        using var stream = new StreamReader(await answer.Content.ReadAsStreamAsync(RunTestExtensions.Cancellation));
        var head = await stream.ReadToAsync("Half ");
        var run = head.Substring(head.IndexOf("run_0", StringComparison.Ordinal), 30);

        var start = TimeProvider.System.GetTimestamp();
        Assert.Equal(204, (await server.Client.DeleteAsync(
            $"/v1/api-keys/{made.Json.GetProperty("id").GetString()}")).Status);
        var rest = await stream.ReadToEndAsync(RunTestExtensions.Cancellation)
            .WaitAsync(TimeSpan.FromSeconds(5), RunTestExtensions.Cancellation);

        Assert.Equal("", rest);
        Assert.True(TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(5));
        Assert.Equal(401, (await client.GetAsync($"/v1/runs/{run}")).Status);
        Assert.Equal("running",
            (await server.Client.GetAsync($"/v1/runs/{run}")).Json.GetProperty("status").GetString());
        gate.SetResult();
        var events = await server.Client.GetAsync($"/v1/runs/{run}/events");
        Assert.StartsWith(head, events.Text, StringComparison.Ordinal);
        Assert.Contains("\"output\":\"Half and whole.\"", events.Text, StringComparison.Ordinal);
        await server.AssertSoundAsync();
    }

    private readonly Dictionary<int, TaskCompletionSource> _gates = [];

    private TaskCompletionSource GateOf(int round) => _gates.TryGetValue(round, out var gate) ? gate
        : _gates[round] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    private static string RunId(TestAnswer answer) => answer.Json.GetProperty("run_id").GetString()!;

    private static int Count(string text, string part) => text.Split(part).Length - 1;
}
