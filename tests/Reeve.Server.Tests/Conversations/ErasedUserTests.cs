using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Conversations;

/// <summary>Whoever deletes a conversation deletes who it was with; what it cost stays.</summary>
public sealed class ErasedUserTests
{
    [Theory]
    [InlineData("/v1/conversations/")]
    [InlineData("/v1/agents/")]
    public async Task Usage_OfWhatWasDeleted_IsOfNoUser(string path)
    {
        using var model = new ScriptedChatClient().Reply("Hello.", Usage(10, 10));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var kept = await server.NewAgentAsync();
        const string User = "\"user\":{\"id\":\"u-eve\"}";
        var run = await server.RunAsync(agent, User);
        await server.RunAsync(kept, "\"user\":{\"id\":\"u-ann\"}");
        Assert.Equal([("u-ann", 1), ("u-eve", 1)], await UsageAsync(server));

        var deleted = await server.Client.DeleteAsync(path + (path.Contains("agents", StringComparison.Ordinal)
            ? agent
            : run.Json.GetProperty("conversation_id").GetString()));

        Assert.Equal(204, deleted.Status);
        Assert.Equal([("", 1), ("u-ann", 1)], await UsageAsync(server));
        await server.AssertSoundAsync();
    }

    private static async Task<IEnumerable<(string?, int)>> UsageAsync(TestServer server) =>
        (await server.Client.GetAsync("/v1/usage?group_by=user")).Json.GetProperty("data").EnumerateArray()
            .Select(static one => (one.GetProperty("key").GetString(), one.GetProperty("requests").GetInt32()))
            .ToList();
}
