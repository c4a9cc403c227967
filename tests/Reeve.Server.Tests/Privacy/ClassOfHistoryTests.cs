using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Privacy;

/// <summary>What was said while a run waited is before its model too.</summary>
public sealed class ClassOfHistoryTests
{
    [Fact]
    public async Task WaitingRun_RisesToTheClassOfWhatWasSaidBeforeItsTurn()
    {
        var release = new TaskCompletionSource();
        using var model = new ScriptedChatClient().Reply(release.Task, "Hello.", Usage(5, 5));
        await using var server = await TestServer.StartAsync(
            configure: builder => model.AddTo(builder), realTime: true);
        var agent = await server.NewAgentAsync("\"model\":\"auto\"");
        var added = await server.Client.PostAsync($"/v1/agents/{agent}/documents", """
            {"name":"Zebra","text":"The zebra codename is PURPLEMONKEY.","privacy_class":"confidential"}
            """);
        Assert.Equal(201, added.Status);
        var first = await server.RunAsync(agent, "\"background\":true,\"input\":\"Greet me.\"");
        var conversation = first.Json.GetProperty("conversation_id").GetString();
        var members = $"\"background\":true,\"on_busy\":\"queue\",\"conversation_id\":\"{conversation}\"";
        var second = await server.RunAsync(agent, $"{members},\"input\":\"What is the zebra codename?\"");
        var third = await server.RunAsync(agent, $"{members},\"input\":\"Tell me about ships and harbours at sea.\"");

        release.SetResult();
        await Eventually.TrueAsync(async () =>
            (await RunAsync(server, third)).Json.GetProperty("status").GetString() is "completed" or "failed");

        Assert.Contains("PURPLEMONKEY", (await RunAsync(server, second)).Text, StringComparison.Ordinal);
        Assert.Equal("confidential", (await RunAsync(server, third)).Json.GetProperty("privacy_class").GetString());
        Assert.DoesNotContain(model.Prompts, static prompt =>
            prompt.Any(static message => message.Text.Contains("PURPLEMONKEY", StringComparison.Ordinal)));
        Assert.Equal(1, model.Calls);
        await server.AssertSoundAsync();
    }

    private static Task<TestAnswer> RunAsync(TestServer server, TestAnswer started) =>
        server.Client.GetAsync($"/v1/runs/{started.Json.GetProperty("run_id").GetString()}");
}
