using Reeve.Server.Conversations;
using Reeve.Server.Privacy;
using Reeve.Server.Tests.Agents;

namespace Reeve.Server.Tests.Conversations;

public sealed class MessageReaderTests
{
    private const string TwoCalls = """
        {"tool_calls":[
        {"id":"call_1","tool":"time","action":"now","params":{},"result_summary":"noon","is_error":false},
        {"id":"call_2","tool":"time","action":"now","params":{},"result_summary":"one","is_error":false}]}
        """;

    [Fact]
    public async Task History_EndedRuns_LeavesFailedOutAndKeepsPartialText()
    {
        await using var server = await AgentServer.StartAsync();
        var agent = await server.NewAgentAsync();
        var id = await server.NewConversationAsync(agent);
        var ids = server.Server.Service<IdGenerator>();
        await server.RunAsync(new RunRow(ids, agent, id, 1) { Input = "a", Output = "b" });
        await server.RunAsync(new RunRow(ids, agent, id, 2)
        {
            Input = "c",
            Output = "d",
            Status = "failed",
            PrivacyClass = "protected",
        });
        await server.RunAsync(new RunRow(ids, agent, id, 3) { Input = "e", Output = "f", Status = "cancelled" });
        await server.RunAsync(new RunRow(ids, agent, id, 4) { Input = "g", Output = "", Status = "cancelled" });
        await server.RunAsync(new RunRow(ids, agent, id, 5) { Input = "h", Output = null, Status = "running" });

        var history = History(server, id);

        Assert.Equal([new("a", "b"), new("e", "f"), new("g", null)], history.Turns);
        Assert.Equal((true, PrivacyClass.Protected, 5L), (history.IsWhole, history.Strictest, history.LastOrdinal));

        var answer = await server.Client.PostAsync($"/v1/conversations/{id}/fork", "{}");
        var fork = answer.Json.GetProperty("id").GetString()!;
        await server.RunAsync(new RunRow(ids, agent, fork, 1) { Input = "i", Output = "j" });
        var forked = History(server, fork);
        Assert.Equal([new("a", "b"), new("e", "f"), new("g", null), new("i", "j")], forked.Turns);
        Assert.Equal((PrivacyClass.Protected, 1L), (forked.Strictest, forked.LastOrdinal));
    }

    [Fact]
    public async Task History_OverTheBound_KeepsTheNewestTurns()
    {
        await using var server = await AgentServer.StartAsync();
        var agent = await server.NewAgentAsync();
        var id = await server.NewConversationAsync(agent);
        var ids = server.Server.Service<IdGenerator>();
        for (var i = 1; i <= 100; i++)
        {
            await server.RunAsync(new RunRow(ids, agent, id, i) { Input = $"{i:000}", Output = "x" });
        }

        var history = History(server, id, charactersMax: 50 * 4);
        Assert.False(history.IsWhole);
        Assert.Equal(("051", "100", 50), (history.Turns[0].User, history.Turns[^1].User, history.Turns.Count));
        Assert.Equal(100, History(server, id, charactersMax: 400).Turns.Count);
    }

    [Fact]
    public async Task History_OfNothing_IsEmptyAndStandard()
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewConversationAsync(await server.NewAgentAsync());
        var history = History(server, id);
        Assert.Equal((0, true, PrivacyClass.Standard, 0L),
            (history.Turns.Count, history.IsWhole, history.Strictest, history.LastOrdinal));
    }

    [Fact]
    public async Task List_WithTools_EveryMessageIsACursorInBothDirections()
    {
        await using var server = await AgentServer.StartAsync();
        var agent = await server.NewAgentAsync();
        var id = await server.NewConversationAsync(agent);
        var ids = server.Server.Service<IdGenerator>();
        await server.RunAsync(new RunRow(ids, agent, id, 1) { Outcome = TwoCalls });
        await server.RunAsync(new RunRow(ids, agent, id, 2) { Outcome = TwoCalls, Status = "failed", Output = "" });
        server.Database.Read(session =>
        {
            List<Message> Page(int limit, MessagePosition? from, bool newestFirst = false) =>
                [.. MessageReader.List(session, server.Tenant, id,
                    new MessageQuery { Limit = limit, From = from, NewestFirst = newestFirst, WithTools = true }).Data];
            var all = Page(100, null);
            Assert.Equal(
                ["What?", "noon", "one", "That.", "What?", "noon", "one"], all.Select(message => message.Content));
            for (var i = 0; i < all.Count; i++)
            {
                Assert.True(MessageReader.TryLocate(session, server.Tenant, id, all[i].Id, out var position));
                Assert.Equal(all.Skip(i + 1).Select(message => message.Id),
                    Page(100, position).Select(message => message.Id));
                Assert.Equal(all.Take(i).Reverse().Select(message => message.Id),
                    Page(100, position, newestFirst: true).Select(message => message.Id));
            }

            Assert.False(MessageReader.TryLocate(session, server.Tenant, id, ids.New("msg"), out _));
            Assert.False(MessageReader.TryLocate(
                session, new Reeve.Server.Storage.TenantContext("acct_x"), id, all[0].Id, out _));
            return 0;
        });
    }

    private static ConversationHistory History(AgentServer server, string id, long charactersMax = 1_000) =>
        server.Database.Read(session => MessageReader.History(session, server.Tenant, id, charactersMax));
}
