using Reeve.Server.Http;
using Reeve.Server.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Runs;

public sealed class CapacityTests
{
    private const string Chats = "/v1/chat/completions";

    [Fact]
    public async Task Run_BeyondTheBound_IsRefusedAtTheDoorAndLetInWhenOneEnds()
    {
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply(gate.Task, "First.", Usage(1, 1)).Reply("Later.", Usage(1, 1));
        await using var server = await StartAsync(model, static limits => limits with { RunsMax = 1 });
        var agent = await server.NewAgentAsync();
        var first = await server.RunAsync(agent, "\"background\":true");

        var refused = await server.RunAsync(agent);
        var again = await server.Client.SendAsync("POST", "/api/run", "this body is not read", ("X-Agent-Id", agent));

        Assert.Equal(202, first.Status);
        Assert.Equal((503, "unavailable"), (refused.Status, refused.ErrorCode));
        Assert.Equal((503, "unavailable"), (again.Status, again.ErrorCode));
        Assert.NotEqual(refused.Header("Retry-After"), again.Header("Retry-After"));
        Assert.InRange(int.Parse(refused.Header("Retry-After")!, null), 1, 5);
        gate.SetResult();
        await Eventually.TrueAsync(() => server.Service<Capacity>().Runs.Taken == 0);
        Assert.Equal(200, (await server.RunAsync(agent)).Status);
        Assert.Equal(2, (await server.Client.GetAsync("/v1/runs")).Json.GetProperty("data").GetArrayLength());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Run_ThatIsRefusedForAnotherReason_GivesItsPlaceBack()
    {
        var model = new ScriptedChatClient().Reply("Hello.", Usage(1, 1));
        await using var server = await TestServer.StartAsync(
            static options => options with
            {
                Limits = options.Limits with { RunsMax = 1 },
                Credits = options.Credits with { StartingBalanceUsd = 0 },
            },
            builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(402, (await server.RunAsync(agent)).Status);
        }

        Assert.Equal(0, server.Service<Capacity>().Runs.Taken);
    }

    [Fact]
    public async Task Stream_BeyondTheBound_IsRefusedAndStartsNoRun()
    {
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply("Some", gate.Task, " text.", Usage(1, 1)).Reply("Hi.", Usage(1, 1));
        await using var server = await StartAsync(model, static limits => limits with { StreamsMax = 1 });
        var agent = await server.NewAgentAsync();
        using var stream = await server.OpenAsync("POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
        var run = RunIdIn(await stream.ReadToAsync("Some"));

        var refused = await server.RunAsync(agent, "\"stream\":true");
        var resumed = await server.Client.GetAsync($"/v1/runs/{run}/events");
        var whole = await server.RunAsync(agent);

        Assert.Equal((503, "unavailable"), (refused.Status, refused.ErrorCode));
        Assert.Equal((503, "unavailable"), (resumed.Status, resumed.ErrorCode));
        Assert.Equal(200, whole.Status);
        gate.SetResult();
        await stream.ReadToEndAsync(RunTestExtensions.Cancellation);
        await Eventually.TrueAsync(() => server.Service<Capacity>().Streams.Taken == 0);
        Assert.Equal(200, (await server.Client.GetAsync($"/v1/runs/{run}/events")).Status);
        Assert.Equal(2, (await server.Client.GetAsync("/v1/runs")).Json.GetProperty("data").GetArrayLength());
        await server.AssertSoundAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Chats_ThatAreTooLargeTogether_AreRefusedUntilOneEnds(bool saysItsLength)
    {
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply(gate.Task, "First.", Usage(1, 1)).Reply("Later.", Usage(1, 1));
        await using var server = await StartAsync(
            model, static limits => limits with { ChatBytesMax = 4_096, ChatBytesOpenMax = 1_024 });
        var size = saysItsLength ? 3_000 : 1;
        var body = $$"""
            {"model":"mesh/house-1","messages":[{"role":"user","content":"{{new string('x', size)}}"}]}
            """;
        const string Small = """{"model":"mesh/house-1","messages":[{"role":"user","content":"Hi"}]}""";
        var first = saysItsLength ? StatusAsync(server.Client.PostAsync(Chats, body)) : StatusAsync(server.SendRawAsync(
            $"POST {Chats} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + $"Authorization: Bearer {TestServer.AdminKey}\r\nTransfer-Encoding: chunked\r\n\r\n"
            + $"{body.Length:x}\r\n{body}\r\n0\r\n\r\n"));
        await Eventually.TrueAsync(() => model.Calls == 1);

        var refused = await server.Client.PostAsync(Chats, saysItsLength ? body : Small);

        Assert.Equal((503, "unavailable"), (refused.Status, refused.ErrorCode));
        Assert.InRange(int.Parse(refused.Header("Retry-After")!, null), 1, 5);
        gate.SetResult();
        Assert.Equal(200, await first);
        await Eventually.TrueAsync(() => server.Service<Capacity>().ChatKibibytes.Taken == 0);
        Assert.Equal(400, (await server.Client.PostAsync(Chats, "{}")).Status);
        Assert.Equal(413, (await server.Client.PostAsync(Chats, body + new string(' ', 4_096))).Status);
        Assert.Equal(200, (await server.Client.PostAsync(Chats, body)).Status);
        Assert.Equal(0, server.Service<Capacity>().ChatKibibytes.Taken);
        await server.AssertSoundAsync();
    }

    private static async Task<int> StatusAsync(Task<TestAnswer> answer) => (await answer).Status;

    private static async Task<int> StatusAsync(Task<string> answer) => int.Parse((await answer)[9..12], null);

    private static string RunIdIn(string text) => text[text.IndexOf("run_0", StringComparison.Ordinal)..][..30];

    [Fact]
    public void Refusals_InARow_AreSpreadOverFiveSeconds()
    {
        var places = new Places(0, "of none");

        var seconds = Enumerable.Range(0, 10).Select(_ =>
            Assert.Throws<ApiException>(places.Enter).RetryAfterSeconds!.Value).ToList();

        Assert.Equal(Enumerable.Range(1, 5), seconds.Distinct().Order());
        Assert.Equal((0, 10), (places.Taken, places.Refusals));
    }

    private static Task<TestServer> StartAsync(ScriptedChatClient model, Func<LimitOptions, LimitOptions> limits) =>
        TestServer.StartAsync(
            options => options with { Limits = limits(options.Limits) }, builder => model.AddTo(builder));
}
