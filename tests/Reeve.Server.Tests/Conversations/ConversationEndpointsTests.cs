using System.Text.Json;
using Reeve.Server.Conversations;
using Reeve.Server.Privacy;
using Reeve.Server.Tests.Agents;

namespace Reeve.Server.Tests.Conversations;

public sealed class ConversationEndpointsTests
{
    private const string Unknown = "conv_06F7557C5CM18FNXB2V5D4V72R";

    private const string Outcome = """
        {"sources":[
        {"document_id":"doc_1","chunk_id":"chk_1","score":0.82,"name":"n","page":null,"start":0,"end":1,"quote":null}],
        "tool_calls":[
        {"id":"call_1","tool":"time","action":"now","params":{},"result_summary":"noon","is_error":false,"extra":1},
        {"id":"call_2","tool":"time","action":"zones","params":{"a":1},"result_summary":"2 results","is_error":false}]}
        """;

    [Theory]
    [InlineData("POST", "/v1/conversations", """{"agent":"desk"}""", true)]
    [InlineData("GET", "/v1/conversations", null, true)]
    [InlineData("GET", "/v1/conversations/{id}", null, true)]
    [InlineData("PATCH", "/v1/conversations/{id}", "{}", false)]
    [InlineData("DELETE", "/v1/conversations/{id}", null, false)]
    [InlineData("GET", "/v1/conversations/{id}/messages", null, true)]
    [InlineData("POST", "/v1/conversations/{id}/fork", "{}", true)]
    public async Task Endpoint_WhoMayNot_IsRefused(string method, string path, string? body, bool chatMay)
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewConversationAsync(await server.NewAgentAsync());
        path = path.Replace("{id}", id, StringComparison.Ordinal);
        using var nobody = server.Server.ClientFor(null);
        using var usage = server.Server.ClientFor(await server.Server.NewKeyAsync("\"scopes\":[\"usage\"]"));
        using var chat = server.Server.ClientFor(await server.Server.NewKeyAsync("\"scopes\":[\"chat\"]"));
        using var foreign = await server.ForeignClientAsync();

        Assert.Equal(401, (await nobody.SendAsync(method, path, body)).Status);
        Assert.Equal(403, (await usage.SendAsync(method, path, body)).Status);
        Assert.Equal(chatMay, (await chat.SendAsync(method, path, body)).Status != 403);
        if (path.Contains(id, StringComparison.Ordinal))
        {
            var answer = await foreign.SendAsync(method, path, body);
            var never = await foreign.SendAsync(method, path.Replace(id, Unknown, StringComparison.Ordinal), body);
            Assert.Equal((404, "not_found"), (answer.Status, answer.ErrorCode));
            Assert.Equal(never.Json.GetProperty("error").GetProperty("message").GetString(),
                answer.Json.GetProperty("error").GetProperty("message").GetString());
        }
        else if (method == "POST")
        {
            Assert.Equal((404, "agent"), (await foreign.SendAsync(method, path, body)) is var none
                ? (none.Status, none.ErrorParam) : default);
        }
    }

    [Theory]
    [InlineData("{}", 400, "agent")]
    [InlineData("""{"agent":""}""", 400, "agent")]
    [InlineData("""{"agent":"none"}""", 404, "agent")]
    [InlineData("""{"agent":"desk@2"}""", 404, "agent")]
    [InlineData("""{"agent":"desk","title":""}""", 400, "title")]
    [InlineData("""{"agent":"desk","user":{"id":7}}""", 400, "user.id")]
    [InlineData("""{"agent":"desk","user":{"mail":"x"}}""", 400, "user.mail")]
    [InlineData("""{"agent":"desk","metadata":[]}""", 400, "metadata")]
    [InlineData("""{"agent":"desk","status":"ended"}""", 400, "status")]
    public async Task Create_BadBody_NamesTheMember(string body, int status, string param)
    {
        await using var server = await AgentServer.StartAsync();
        await server.NewAgentAsync();
        var answer = await server.Client.PostAsync("/v1/conversations", body);
        Assert.Equal((status, param), (answer.Status, answer.ErrorParam));
    }

    [Fact]
    public async Task Create_EmptyConversation_AnswersAsDocumented()
    {
        await using var server = await AgentServer.StartAsync();
        var agent = await server.NewAgentAsync();
        var answer = await server.Client.PostAsync("/v1/conversations",
            """{"agent":"desk@1","title":"T","user":{"id":"u_42","name":"Example User"},"metadata":{"a":1}}""");
        var id = answer.Json.GetProperty("id").GetString()!;
        Assert.Equal((201, $"/v1/conversations/{id}"), (answer.Status, answer.Header("Location")));
        Assert.Equal(
            $$$"""
            {"id":"{{{id}}}","agent_id":"{{{agent}}}","title":"T","status":"active",
            "user":{"id":"u_42","name":"Example User"},"metadata":{"a":1},"run_count":0,"message_count":0,
            "credits_used":0,"active_run_id":null,"forked_from":null,
            "created_at":"2026-11-20T09:15:03.530Z","updated_at":"2026-11-20T09:15:03.530Z"}
            """.ReplaceLineEndings(""),
            answer.Text);
        var same = await server.Client.GetAsync($"/v1/conversations/task_{id[5..].ToLowerInvariant()}");
        Assert.Equal(answer.Text, same.Text);
    }

    [Fact]
    public async Task Cap_Conversations_CountUntilTheyAreDeleted()
    {
        await using var server = await AgentServer.StartAsync();
        await server.NewAgentAsync("\"name\":\"Desk\",\"conversation_limit\":2");
        var first = await server.NewConversationAsync("desk");
        var second = await server.NewConversationAsync("desk");
        await server.Client.PatchAsync($"/v1/conversations/{first}", """{"status":"ended"}""");

        var over = await server.Client.PostAsync("/v1/conversations", """{"agent":"desk"}""");
        Assert.Equal((429, "conversation_limit_exceeded", null),
            (over.Status, over.ErrorCode, over.Header("Retry-After")));
        Assert.Equal(429, (await server.Client.PostAsync($"/v1/conversations/{first}/fork", "{}")).Status);

        Assert.Equal(204, (await server.Client.DeleteAsync($"/v1/conversations/{second}")).Status);
        Assert.Equal(201, (await server.Client.PostAsync("/v1/conversations", """{"agent":"desk"}""")).Status);
    }

    [Fact]
    public async Task Get_WithRuns_AddsThemUp()
    {
        await using var server = await AgentServer.StartAsync();
        var (agent, id, ids) = await ConversationAsync(server);
        await server.RunAsync(new RunRow(ids, agent, id, 1) { Charged = 5_082 });
        await server.RunAsync(new RunRow(ids, agent, id, 2) { Status = "failed", Output = "", Charged = 1_000 });
        await server.RunAsync(new RunRow(ids, agent, id, 3) { Status = "cancelled", Output = "Par" });
        await server.RunAsync(new RunRow(ids, agent, id, 4) { Output = "" });
        var active = await server.RunAsync(new RunRow(ids, agent, id, 5) { Status = "running", Output = null });
        await server.RunAsync(new RunRow(ids, agent, id, 6) { Status = "queued", Output = null });

        var shown = (await server.Client.GetAsync($"/v1/conversations/{id}")).Json;

        Assert.Equal((6, 9, "6.082", active.Id), (shown.GetProperty("run_count").GetInt32(),
            shown.GetProperty("message_count").GetInt32(), shown.GetProperty("credits_used").GetRawText(),
            shown.GetProperty("active_run_id").GetString()));
        Assert.Equal("2026-11-20T09:21:00.000Z", shown.GetProperty("updated_at").GetString());
        var messages = await MessagesAsync(server, $"/v1/conversations/{id}/messages?limit=100");
        Assert.Equal(9, messages.Count);
    }

    [Fact]
    public async Task List_Filters_ShowWhatTheyName()
    {
        await using var server = await AgentServer.StartAsync();
        var desk = await server.NewAgentAsync();
        var other = await server.NewAgentAsync();
        var a = await server.NewConversationAsync(desk, "\"user\":{\"id\":\"u1\"}");
        var b = await server.NewConversationAsync(desk, "\"user\":{\"id\":\"u2\"}");
        var c = await server.NewConversationAsync(other, "\"user\":{\"id\":\"u1\"}");
        await server.Client.PatchAsync($"/v1/conversations/{b}", """{"status":"ended"}""");

        Assert.Equal([c, b, a], await IdsAsync(server, ""));
        Assert.Equal([b, a], await IdsAsync(server, $"?agent={desk}"));
        Assert.Equal([c, a], await IdsAsync(server, "?user_id=u1"));
        Assert.Equal([a], await IdsAsync(server, "?user_id=u1&agent=desk"));
        Assert.Equal([b], await IdsAsync(server, "?status=ended"));
        Assert.Equal([b], await IdsAsync(server, "?status=ended&agent=desk&user_id=u2"));
        Assert.Equal([a], await IdsAsync(server, $"?user_id=u1&after={c}"));
        Assert.Empty(await IdsAsync(server, "?agent=agt_06F7557C5CM18FNXB2V5D4V72R"));
        foreach (var query in new[] { "?status=busy", "?limit=0", "?after=x", "?agent=", "?colour=red" })
        {
            Assert.Equal(400, (await server.Client.GetAsync("/v1/conversations" + query)).Status);
        }
    }

    [Fact]
    public async Task Patch_Members_ChangeAndReset()
    {
        await using var server = await AgentServer.StartAsync();
        var (agent, id, ids) = await ConversationAsync(server);
        await server.RunAsync(new RunRow(ids, agent, id, 1) { Input = "First question" });
        var path = $"/v1/conversations/{id}";
        var changed = await server.Client.PatchAsync(
            path, """{"title":"T","metadata":{"a":1,"b":2},"status":"ended"}""");
        Assert.Equal(("T", "ended"),
            (changed.Json.GetProperty("title").GetString(), changed.Json.GetProperty("status").GetString()));
        var merged = await server.Client.PatchAsync(
            path, """{"title":null,"metadata":{"a":null,"c":3},"status":"active"}""");
        Assert.Equal(("First question", """{"b":2,"c":3}""", "active"), (merged.Json.GetProperty("title").GetString(),
            merged.Json.GetProperty("metadata").GetRawText(), merged.Json.GetProperty("status").GetString()));
        Assert.Equal("status", (await server.Client.PatchAsync(path, """{"status":"gone"}""")).ErrorParam);
        Assert.Equal("user", (await server.Client.PatchAsync(path, """{"user":{}}""")).ErrorParam);
        Assert.Equal("title", (await server.Client.PatchAsync(path, """{"title":""}""")).ErrorParam);

        var active = await server.RunAsync(new RunRow(ids, agent, id, 2) { Status = "queued" });
        var busy = await server.Client.PatchAsync(path, """{"status":"ended"}""");
        Assert.Equal((409, "conversation_busy", active.Id), (busy.Status, busy.ErrorCode,
            busy.Json.GetProperty("error").GetProperty("run_id").GetString()));
    }

    [Fact]
    public async Task Delete_Conversation_CancelsErasesAndIsGone()
    {
        await using var server = await AgentServer.StartAsync();
        var (agent, id, ids) = await ConversationAsync(server);
        for (var i = 1; i <= 450; i++)
        {
            await server.RunAsync(new RunRow(ids, agent, id, i));
        }

        await server.RunAsync(new RunRow(ids, agent, id, 451) { Status = "running" });
        var forked = await server.Client.PostAsync($"/v1/conversations/{id}/fork", "");
        var fork = forked.Json.GetProperty("id").GetString();

        Assert.Equal(204, (await server.Client.DeleteAsync($"/v1/conversations/{id}")).Status);

        Assert.Equal([id], server.Cancelled);
        Assert.Equal(404, (await server.Client.GetAsync($"/v1/conversations/{id}")).Status);
        Assert.Equal(404, (await server.Client.DeleteAsync($"/v1/conversations/{id}")).Status);
        server.Database.Read(session =>
        {
            Assert.Equal(451, session.Count(
                "SELECT count(*) FROM runs WHERE conversation_id = $1 AND input IS NULL AND erased_at IS NOT NULL",
                id));
            Assert.Equal(451, session.Count("SELECT count(*) FROM run_events WHERE payload IS NULL"));
            return 0;
        });
        var left = await server.Client.GetAsync($"/v1/conversations/{fork}");
        Assert.Equal(901, left.Json.GetProperty("message_count").GetInt32());
    }

    [Fact]
    public async Task Messages_OfRuns_AreShownAsDocumented()
    {
        await using var server = await AgentServer.StartAsync();
        var (agent, id, ids) = await ConversationAsync(server);
        var run = await server.RunAsync(new RunRow(ids, agent, id, 1) { Outcome = Outcome });
        var answer = await server.Client.GetAsync($"/v1/conversations/{id}/messages");
        Assert.Equal(
            $$$"""
            {"data":[{"id":"{{{run.UserMessageId}}}","conversation_id":"{{{id}}}","role":"user","content":"What?",
            "status":"completed","run_id":"{{{run.Id}}}","sources":[],"tool_calls":[],
            "created_at":"2026-11-20T09:16:00.000Z"},
            {"id":"{{{run.MessageId}}}","conversation_id":"{{{id}}}","role":"assistant","content":"That.",
            "status":"completed","run_id":"{{{run.Id}}}",
            "sources":[{"documentId":"doc_1","chunkId":"chk_1","score":0.82}],
            "tool_calls":[
            {"id":"call_1","tool":"time","action":"now","params":{},"result_summary":"noon","is_error":false},
            {"id":"call_2","tool":"time","action":"zones","params":{"a":1},"result_summary":"2 results",
            "is_error":false}],
            "created_at":"2026-11-20T09:16:01.000Z"}],"has_more":false,"next_cursor":null}
            """.ReplaceLineEndings(""),
            answer.Text);
    }

    [Theory]
    [InlineData("asc", 1)]
    [InlineData("asc", 2)]
    [InlineData("asc", 7)]
    [InlineData("desc", 1)]
    [InlineData("desc", 3)]
    [InlineData("desc", 100)]
    public async Task Messages_InPages_AreAllThereOnceInOrder(string order, int limit)
    {
        await using var server = await AgentServer.StartAsync();
        var (agent, source, ids) = await ConversationAsync(server);
        await server.RunAsync(new RunRow(ids, agent, source, 1) { Input = "0", Output = "1" });
        await server.RunAsync(new RunRow(ids, agent, source, 2) { Input = "2", Output = "3" });
        var fork = await server.Client.PostAsync($"/v1/conversations/{source}/fork", "{}");
        var id = fork.Json.GetProperty("id").GetString()!;
        await server.RunAsync(new RunRow(ids, agent, id, 1) { Input = "4", Output = "5" });
        await server.RunAsync(new RunRow(ids, agent, id, 2) { Input = "6", Output = "", Status = "failed" });
        await server.RunAsync(new RunRow(ids, agent, id, 3) { Input = "7", Output = "8", Status = "cancelled" });

        var messages = await MessagesAsync(server, $"/v1/conversations/{id}/messages?order={order}&limit={limit}");

        var expected = Enumerable.Range(0, 9).Select(i => $"{i}");
        Assert.Equal(order == "asc" ? expected : expected.Reverse(),
            messages.Select(message => message.GetProperty("content").GetString()));
        Assert.Equal(1, messages.Count(message => message.GetProperty("status").GetString() == "incomplete"));
    }

    [Fact]
    public async Task Messages_ForeignCursor_IsOnlyAPosition()
    {
        await using var server = await AgentServer.StartAsync();
        var (agent, id, ids) = await ConversationAsync(server);
        var before = ids.New("msg");
        await server.RunAsync(new RunRow(ids, agent, id, 1));
        var between = ids.New("msg");
        await server.RunAsync(new RunRow(ids, agent, id, 2));
        Assert.Equal(4, (await MessagesAsync(server, $"/v1/conversations/{id}/messages?after={before}")).Count);
        Assert.Equal(2, (await MessagesAsync(server, $"/v1/conversations/{id}/messages?after={between}")).Count);
        Assert.Equal(400, (await server.Client.GetAsync($"/v1/conversations/{id}/messages?after=conv_1")).Status);
        Assert.Equal(400, (await server.Client.GetAsync($"/v1/conversations/{id}/messages?order=up")).Status);
    }

    [Fact]
    public async Task Fork_UpToAMessage_CopiesTextSourcesAndTheClass()
    {
        await using var server = await AgentServer.StartAsync();
        var (agent, id, ids) = await ConversationAsync(server);
        var first = await server.RunAsync(
            new RunRow(ids, agent, id, 1) { Outcome = Outcome, PrivacyClass = "confidential" });
        var second = await server.RunAsync(new RunRow(ids, agent, id, 2));
        await server.RunAsync(new RunRow(ids, agent, id, 3));

        var answer = await server.Client.PostAsync(
            $"/v1/conversations/{id}/fork", $$"""{"message_id":"{{second.UserMessageId}}"}""");

        Assert.Equal(201, answer.Status);
        Assert.Equal($$"""{"conversation_id":"{{id}}","message_id":"{{second.UserMessageId}}"}""",
            answer.Json.GetProperty("forked_from").GetRawText());
        var fork = answer.Json.GetProperty("id").GetString()!;
        var messages = await MessagesAsync(server, $"/v1/conversations/{fork}/messages");
        Assert.Equal(
            ["user", "assistant", "user"], messages.Select(message => message.GetProperty("role").GetString()));
        Assert.Equal("chk_1", messages[1].GetProperty("sources")[0].GetProperty("chunkId").GetString());
        Assert.All(messages, message => Assert.Equal(JsonValueKind.Null, message.GetProperty("run_id").ValueKind));
        Assert.DoesNotContain(first.MessageId, messages.Select(message => message.GetProperty("id").GetString()));
        Assert.Equal(PrivacyClass.Confidential, server.Database.Read(session =>
            MessageReader.History(session, server.Tenant, fork, 1_000).Strictest));

        foreach (var (body, status) in new[] { ("""{"message_id":"msg_06F7557C5CM18FNXB2V5D4V72R"}""", 404),
            ("""{"message_id":"x"}""", 404), ("""{"message_id":""}""", 400), ("""{"at":1}""", 400) })
        {
            Assert.Equal(status, (await server.Client.PostAsync($"/v1/conversations/{id}/fork", body)).Status);
        }
    }

    private static async Task<(string Agent, string Conversation, IdGenerator Ids)> ConversationAsync(
        AgentServer server)
    {
        var agent = await server.NewAgentAsync();
        return (agent, await server.NewConversationAsync(agent), server.Server.Service<IdGenerator>());
    }

    private static async Task<List<string?>> IdsAsync(AgentServer server, string query) =>
        [.. (await server.Client.GetAsync("/v1/conversations" + query)).Json.GetProperty("data").EnumerateArray()
            .Select(item => item.GetProperty("id").GetString())];

    private static async Task<List<JsonElement>> MessagesAsync(AgentServer server, string path)
    {
        var messages = new List<JsonElement>();
        string? cursor = null;
        do
        {
            var separator = path.Contains('?', StringComparison.Ordinal) ? '&' : '?';
            var page = (await server.Client.GetAsync(cursor is null ? path : $"{path}{separator}after={cursor}")).Json;
            messages.AddRange(page.GetProperty("data").EnumerateArray());
            cursor = page.GetProperty("next_cursor").GetString();
        }
        while (cursor is not null);

        return messages;
    }
}
