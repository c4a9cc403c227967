using Reeve.Server.Conversations;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;
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

        var again = await server.Client.PostAsync($"/v1/conversations/{fork}/fork", "{}");
        var twice = again.Json.GetProperty("id").GetString()!;
        var ofCopies = History(server, twice);
        Assert.Equal(forked.Turns, ofCopies.Turns);
        Assert.Equal((PrivacyClass.Protected, 0L), (ofCopies.Strictest, ofCopies.LastOrdinal));
        Assert.Equal(await TimesAsync(server, fork), await TimesAsync(server, twice));
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

        await server.RunAsync(new RunRow(ids, agent, id, 101) { Input = "101", Output = "", Status = "cancelled" });
        Assert.Equal([new("101", null)], History(server, id, charactersMax: 3).Turns);
        Assert.Empty(History(server, id, charactersMax: 2).Turns);
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
        await server.RunAsync(new RunRow(ids, agent, id, 1) { Outcome = TwoCalls, Charged = 5_082 });
        await server.RunAsync(new RunRow(ids, agent, id, 2) { Outcome = TwoCalls, Status = "failed", Output = "" });
        server.Database.Read(session =>
        {
            List<Message> Page(int limit, MessagePosition? from, bool newestFirst = false) =>
                [.. MessageReader.List(session, server.Tenant, id,
                    new MessageQuery { Limit = limit, From = from, NewestFirst = newestFirst, WithTools = true }).Data];
            var all = Page(100, null);
            Assert.Equal(
                ["What?", "noon", "one", "That.", "What?", "noon", "one"], all.Select(message => message.Content));
            Assert.Equal(5_082, all[3].ChargedMicroUsd);
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

    /// <summary>Whatever else its account has, and whoever asks.</summary>
    [Fact]
    public async Task Conversation_BesideOthers_IsItsOwnAlone()
    {
        await using var server = await AgentServer.StartAsync();
        var agent = await server.NewAgentAsync();
        await ForkedAsync(server, agent, "older", "protected");
        var id = await ForkedAsync(server, agent, "own", "standard");
        var alone = Everything(server, server.Tenant, id);
        Assert.Equal(
            """
            own 1|own 1!|own 2|own 2!|own 3|noon|one|own 3!|own 4|noon|one|own 4!
            own 1 own 1!|own 2 own 2!|own 3 own 3!|own 4 own 4!
            Standard 2 True
            """, string.Join('\n', alone.TakeLast(3)));

        await ForkedAsync(server, agent, "newer", "confidential");
        await EraseAsync(server, new RunRow(server.Server.Service<IdGenerator>(), agent, id, 3));

        Assert.Equal(alone.SkipLast(1), Everything(server, server.Tenant, id).SkipLast(1));
        Assert.Equal("Standard 3 True", Everything(server, server.Tenant, id)[^1]); // No ordinal is given twice.
        Assert.Equal(["", "", "Standard 0 True"], Everything(server, new TenantContext("acct_x"), id));
    }

    // Two turns that are copies and two of its own, each with two tool calls.
    private static async Task<string> ForkedAsync(AgentServer server, string agent, string text, string privacyClass)
    {
        var ids = server.Server.Service<IdGenerator>();
        var source = await server.NewConversationAsync(agent);
        await server.RunAsync(Row(source, 1, 1));
        await server.RunAsync(Row(source, 2, 2));
        var answer = await server.Client.PostAsync($"/v1/conversations/{source}/fork", "{}");
        var fork = answer.Json.GetProperty("id").GetString()!;
        await server.RunAsync(Row(fork, 1, 3));
        await server.RunAsync(Row(fork, 2, 4));
        return fork;

        RunRow Row(string conversation, int ordinal, int number) => new(ids, agent, conversation, ordinal)
        {
            Input = $"{text} {number}",
            Output = $"{text} {number}!",
            Outcome = TwoCalls,
            PrivacyClass = privacyClass,
        };
    }

    private static async Task EraseAsync(AgentServer server, RunRow run)
    {
        await server.RunAsync(run);
        await server.Database.WriteAsync(session => session.Execute(
            "UPDATE runs SET erased_at = 1 WHERE id = $1", run.Id));
    }

    /// <summary>What follows and precedes each message, all of them, the turns for the model, and the sums.</summary>
    private static List<string> Everything(AgentServer server, TenantContext tenant, string id) =>
        server.Database.Read(session =>
        {
            var lines = new List<string>();
            List<Message> Page(MessagePosition? from, bool newestFirst) => [.. MessageReader.List(session, tenant, id,
                new MessageQuery { Limit = 100, From = from, NewestFirst = newestFirst, WithTools = true }).Data];
            string Text(MessagePosition? from, bool newestFirst) =>
                string.Join('|', Page(from, newestFirst).Select(static message => message.Content));
            foreach (var message in Page(null, false))
            {
                Assert.True(MessageReader.TryLocate(session, tenant, id, message.Id, out var position));
                lines.Add($"{Text(position, true)} < {message.Content} < {Text(position, false)}");
            }

            var history = MessageReader.History(session, tenant, id, 1_000);
            lines.Add(Text(null, false));
            lines.Add(string.Join('|', history.Turns.Select(static turn => $"{turn.User} {turn.Assistant}")));
            lines.Add($"{history.Strictest} {history.LastOrdinal} {history.IsWhole}");
            return lines;
        });

    private static async Task<List<string?>> TimesAsync(AgentServer server, string id) =>
        [.. (await server.Client.GetAsync($"/v1/conversations/{id}/messages")).Json.GetProperty("data")
            .EnumerateArray().Select(static one => one.GetProperty("created_at").GetString())];

    private static ConversationHistory History(AgentServer server, string id, long charactersMax = 1_000) =>
        server.Database.Read(session => MessageReader.History(session, server.Tenant, id, charactersMax));
}
