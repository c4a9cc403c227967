using System.Text.Json;
using Reeve.Server.Agents;

namespace Reeve.Server.Tests.Agents;

public sealed class AgentEndpointsTests
{
    private const string Unknown = "agt_06F7557C5CM18FNXB2V5D4V72R";

    [Theory]
    [InlineData("POST", "/v1/agents", """{"name":"A"}""", false)]
    [InlineData("GET", "/v1/agents", null, true)]
    [InlineData("GET", "/v1/agents/{id}", null, true)]
    [InlineData("PATCH", "/v1/agents/{id}", "{}", false)]
    [InlineData("DELETE", "/v1/agents/{id}", null, false)]
    [InlineData("GET", "/v1/agents/{id}/versions", null, true)]
    [InlineData("GET", "/v1/agents/{id}/versions/1", null, true)]
    public async Task Endpoint_WhoMayNot_IsRefused(string method, string path, string? body, bool chatMay)
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewAgentAsync();
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
    }

    [Theory]
    [InlineData("{}", "name")]
    [InlineData("""{"name":null}""", "name")]
    [InlineData("""{"name":""}""", "name")]
    [InlineData("""{"name":7}""", "name")]
    [InlineData("""{"name":"A","id":"agt_1"}""", "id")]
    [InlineData("""{"name":"A","version":2}""", "version")]
    [InlineData("""{"name":"A","created_at":"2026-01-01T00:00:00Z"}""", "created_at")]
    [InlineData("""{"name":"A","document_count":0}""", "document_count")]
    [InlineData("""{"name":"A","execution_mode":"auto"}""", "execution_mode")]
    [InlineData("""{"name":"A","slug":"Big"}""", "slug")]
    [InlineData("""{"name":"A","slug":"runs"}""", "slug")]
    [InlineData("""{"name":"A","slug":"-a"}""", "slug")]
    [InlineData("""{"name":"A","model":"gpt-none"}""", "model")]
    [InlineData("""{"name":"A","privacy_class":"secret"}""", "privacy_class")]
    [InlineData("""{"name":"A","temperature":2.1}""", "temperature")]
    [InlineData("""{"name":"A","max_output_tokens":0}""", "max_output_tokens")]
    [InlineData("""{"name":"A","max_output_tokens":1.5}""", "max_output_tokens")]
    [InlineData("""{"name":"A","conversation_limit":1000001}""", "conversation_limit")]
    [InlineData("""{"name":"A","builtin_fallback":"true"}""", "builtin_fallback")]
    [InlineData("""{"name":"A","limits":{"max_steps":201}}""", "limits.max_steps")]
    [InlineData("""{"name":"A","limits":{"max_credits_per_run":0}}""", "limits.max_credits_per_run")]
    [InlineData("""{"name":"A","limits":{"steps":1}}""", "limits.steps")]
    [InlineData("""{"name":"A","metadata":[]}""", "metadata")]
    [InlineData("""{"name":"A","tools":{}}""", "tools")]
    [InlineData("""{"name":"A","tools":[{"name":"time"}]}""", "tools[0].type")]
    [InlineData("""{"name":"A","tools":[{"name":"github","type":"github"}]}""", "tools[0].type")]
    [InlineData("""{"name":"A","tools":[{"name":"web","type":"builtin"}]}""", "tools[0].name")]
    [InlineData("""{"name":"A","tools":[{"name":"Time","type":"builtin"}]}""", "tools[0].name")]
    [InlineData("""{"name":"A","tools":[{"name":"time","type":"builtin"},{"name":"time","type":"builtin"}]}""",
        "tools[1].name")]
    [InlineData("""{"name":"A","tools":[{"name":"time","type":"builtin","approval":"always"}]}""", "tools[0].approval")]
    [InlineData("""{"name":"A","tools":[{"name":"time","type":"builtin","config":{"a":1}}]}""", "tools[0].config.a")]
    [InlineData("""{"name":"A","tools":[{"name":"time","type":"builtin","actions":[{"name":"then"}]}]}""",
        "tools[0].actions[0].name")]
    [InlineData(
        """{"name":"A","tools":[{"name":"time","type":"builtin","actions":[{"name":"now","permission":"ask"}]}]}""",
        "tools[0].actions[0].permission")]
    [InlineData(
        """{"name":"A","tools":[{"name":"time","type":"builtin","actions":[{"name":"now","parameters":{}}]}]}""",
        "tools[0].actions[0].parameters")]
    [InlineData("""{"name":"A","tools":[{"name":"time","type":"builtin","colour":"red"}]}""", "tools[0].colour")]
    public async Task Create_BadBody_NamesTheMember(string body, string param)
    {
        await using var server = await AgentServer.StartAsync();
        var answer = await server.Client.PostAsync("/v1/agents", body);
        Assert.Equal((400, "invalid_request", param), (answer.Status, answer.ErrorCode, answer.ErrorParam));
        Assert.Equal(0, (await server.Client.GetAsync("/v1/agents")).Json.GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task Create_NameAlone_AnswersTheDocumentedDefaults()
    {
        await using var server = await AgentServer.StartAsync();
        var answer = await server.Client.PostAsync("/v1/agents", """{"name":"Privacy desk"}""");
        var id = answer.Json.GetProperty("id").GetString();
        Assert.Equal(201, answer.Status);
        Assert.Equal($"/v1/agents/{id}", answer.Header("Location"));
        Assert.Equal("\"1\"", answer.Header("ETag"));
        Assert.Equal(
            $$$"""
            {"id":"{{{id}}}","version":1,"name":"Privacy desk","slug":"privacy-desk","description":"",
            "instructions":"","model":"auto","privacy_class":"standard","temperature":null,"max_output_tokens":4096,
            "tools":[],"conversation_limit":10000,"builtin_fallback":false,"midstream_fallback":true,
            "strict_citations":false,
            "limits":{"max_steps":16,"max_tool_calls":32,"max_run_seconds":660,"max_credits_per_run":null},
            "metadata":{},"document_count":0,
            "created_at":"2026-11-20T09:15:03.530Z","updated_at":"2026-11-20T09:15:03.530Z"}
            """.ReplaceLineEndings(""),
            answer.Text);
        Assert.Equal(answer.Text, (await server.Client.GetAsync($"/v1/agents/{id}")).Text);
    }

    [Fact]
    public async Task Create_EveryMember_ReadsBackAsSent()
    {
        await using var server = await AgentServer.StartAsync();
        const string Members = """
            "name":"A","slug":"a-1","description":"D","instructions":"I","model":"best",
            "privacy_class":"confidential","temperature":0.25,"max_output_tokens":128000,
            "tools":[{"name":"time","type":"builtin",
            "actions":[{"name":"now","description":"Mine","permission":"allow","idempotent":true}],
            "approval":"never","idempotent":true,"config":{}},
            {"name":"knowledge","type":"builtin","actions":null,"approval":"never","idempotent":false,"config":{}}],
            "conversation_limit":1,"builtin_fallback":true,"midstream_fallback":false,
            "strict_citations":true,
            "limits":{"max_steps":1,"max_tool_calls":0,"max_run_seconds":7200,"max_credits_per_run":0.125},
            "metadata":{"a":[1,null]}
            """;
        var answer = await server.Client.PostAsync("/v1/agents", $$"""{{{Members}}}""");
        Assert.Equal(201, answer.Status);
        Assert.Contains(Members.ReplaceLineEndings(""), answer.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Slug_Taken_IsNumberedWhenDerivedAndRefusedWhenGiven()
    {
        await using var server = await AgentServer.StartAsync();
        var slugs = new List<string?>();
        foreach (var name in new[] { "Über Desk!", "über desk", "runs", "日本", "Ünder" })
        {
            var answer = await server.Client.PostAsync("/v1/agents", $$"""{"name":"{{name}}"}""");
            slugs.Add(answer.Json.GetProperty("slug").GetString());
        }

        Assert.Equal(["ber-desk", "ber-desk-2", "runs-2", "agent", "nder"], slugs);
        var taken = await server.Client.PostAsync("/v1/agents", """{"name":"A","slug":"nder"}""");
        Assert.Equal((409, "conflict", "slug"), (taken.Status, taken.ErrorCode, taken.ErrorParam));
        using var foreign = await server.ForeignClientAsync();
        Assert.Equal(201, (await foreign.PostAsync("/v1/agents", """{"name":"A","slug":"nder"}""")).Status);
    }

    [Fact]
    public async Task Patch_Members_AreMergedAndNullResets()
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewAgentAsync("""
            "name":"A","description":"D","temperature":1,"limits":{"max_steps":3,"max_tool_calls":4},
            "metadata":{"a":1,"b":2},"tools":[{"name":"time","type":"builtin"}]
            """);
        server.Server.Time.Advance(TimeSpan.FromSeconds(1));

        var answer = await server.Client.PatchAsync($"/v1/agents/{id}",
            """
            {"description":null,"limits":{"max_steps":null,"max_run_seconds":9},
            "metadata":{"a":null,"c":3},"instructions":"I"}
            """);

        Assert.Equal(200, answer.Status);
        var agent = answer.Json;
        Assert.Equal(2, agent.GetProperty("version").GetInt32());
        Assert.Equal(("", "I", 1.0), (agent.GetProperty("description").GetString(),
            agent.GetProperty("instructions").GetString(), agent.GetProperty("temperature").GetDouble()));
        Assert.Equal("""{"max_steps":16,"max_tool_calls":4,"max_run_seconds":9,"max_credits_per_run":null}""",
            agent.GetProperty("limits").GetRawText());
        Assert.Equal("""{"b":2,"c":3}""", agent.GetProperty("metadata").GetRawText());
        Assert.Equal(1, agent.GetProperty("tools").GetArrayLength());
        Assert.Equal(("2026-11-20T09:15:03.530Z", "2026-11-20T09:15:04.530Z"),
            (agent.GetProperty("created_at").GetString(), agent.GetProperty("updated_at").GetString()));

        var reset = await server.Client.PatchAsync($"/v1/agents/{id}",
            """{"tools":null,"metadata":null,"limits":null,"temperature":null,"slug":null}""");
        Assert.Equal(("[]", "{}", 3), (reset.Json.GetProperty("tools").GetRawText(),
            reset.Json.GetProperty("metadata").GetRawText(), reset.Json.GetProperty("version").GetInt32()));
    }

    [Theory]
    [InlineData("\"1\"", 200)]
    [InlineData("*", 200)]
    [InlineData("\"2\"", 409)]
    [InlineData("1", 400)]
    [InlineData("\"x\"", 400)]
    public async Task Patch_IfMatch_HoldsTheVersion(string header, int status)
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewAgentAsync();
        var answer = await server.Client.SendAsync("PATCH", $"/v1/agents/{id}", "{}", ("If-Match", header));
        Assert.Equal(status, answer.Status);
        var version = (await server.Client.GetAsync($"/v1/agents/{id}")).Json.GetProperty("version").GetInt32();
        Assert.Equal(status == 200 ? 2 : 1, version);
    }

    [Theory]
    [InlineData("""{"name":null}""", "name")]
    [InlineData("""{"version":3}""", "version")]
    [InlineData("""{"limits":{"max_steps":0}}""", "limits.max_steps")]
    public async Task Patch_BadBody_LeavesTheVersion(string body, string param)
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewAgentAsync();
        var answer = await server.Client.PatchAsync($"/v1/agents/{id}", body);
        Assert.Equal((400, param), (answer.Status, answer.ErrorParam));
        Assert.Equal(1, (await server.Client.GetAsync($"/v1/agents/{id}")).Json.GetProperty("version").GetInt32());
    }

    [Fact]
    public async Task Patch_MetadataThatGrowsOverTheLimit_IsRefused()
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewAgentAsync($"\"name\":\"A\",\"metadata\":{{\"a\":\"{new string('a', 10_000)}\"}}");
        var answer = await server.Client.PatchAsync(
            $"/v1/agents/{id}", $"{{\"metadata\":{{\"b\":\"{new string('b', 10_000)}\"}}}}");
        Assert.Equal((400, "metadata"), (answer.Status, answer.ErrorParam));
    }

    [Fact]
    public async Task Versions_AfterPatches_AreAllThereAndUnchanged()
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewAgentAsync();
        for (var i = 2; i <= 3; i++)
        {
            await server.Client.PatchAsync($"/v1/agents/{id}", $$"""{"name":"N{{i}}","slug":"s{{i}}"}""");
        }

        var first = (await server.Client.GetAsync($"/v1/agents/{id}/versions?limit=2")).Json;
        Assert.Equal(
            [3, 2], first.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("version").GetInt32()));
        Assert.Equal("2", first.GetProperty("next_cursor").GetString());
        var rest = (await server.Client.GetAsync($"/v1/agents/{id}/versions?limit=2&after=2")).Json;
        Assert.Equal(("Desk", "desk", false), (rest.GetProperty("data")[0].GetProperty("name").GetString(),
            rest.GetProperty("data")[0].GetProperty("slug").GetString(), rest.GetProperty("has_more").GetBoolean()));
        var second = await server.Client.GetAsync($"/v1/agents/{id}/versions/2");
        Assert.Equal("N2", second.Json.GetProperty("name").GetString());
        Assert.Equal(404, (await server.Client.GetAsync($"/v1/agents/{id}/versions/4")).Status);
        Assert.Equal(404, (await server.Client.GetAsync($"/v1/agents/{id}/versions/x")).Status);
        Assert.Equal(400, (await server.Client.GetAsync($"/v1/agents/{id}/versions?after=agt_1")).Status);
    }

    [Fact]
    public async Task Get_EveryFormOfAName_FindsTheAgent()
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewAgentAsync();
        await server.Client.PatchAsync($"/v1/agents/{id}", """{"name":"Second"}""");
        foreach (var (name, version) in new[]
        {
            (id, 2), (id.ToLowerInvariant(), 2), ($"agent_{id[4..]}", 2), ("desk", 2), ($"{id}@1", 1), ("desk@1", 1),
            ("desk@2", 2),
        })
        {
            var answer = await server.Client.GetAsync($"/v1/agents/{name}");
            Assert.Equal((200, version), (answer.Status, answer.Json.GetProperty("version").GetInt32()));
        }

        foreach (var name in new[]
        {
            "Desk", "desk@0", "desk@3", "desk@01", "desk@", "desk@x", $"{id}@3", $"{id[..^1]}", "x",
        })
        {
            Assert.Equal(404, (await server.Client.GetAsync($"/v1/agents/{name}")).Status);
        }

        Assert.Equal(400, (await server.Client.PatchAsync($"/v1/agents/{id}@1", "{}")).Status);
        Assert.Equal(400, (await server.Client.DeleteAsync($"/v1/agents/{id}@1")).Status);
    }

    [Fact]
    public async Task List_Pages_AreNewestFirstAndOfThisAccount()
    {
        await using var server = await AgentServer.StartAsync();
        var ids = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            ids.Insert(0, await server.NewAgentAsync());
        }

        var first = (await server.Client.GetAsync("/v1/agents?limit=2")).Json;
        var second = (await server.Client.GetAsync(
            $"/v1/agents?limit=2&after={first.GetProperty("next_cursor").GetString()}")).Json;
        Assert.Equal(ids, Ids(first).Concat(Ids(second)));
        Assert.Equal(JsonValueKind.Null, second.GetProperty("next_cursor").ValueKind);
        Assert.Equal([ids[1]], Ids((await server.Client.GetAsync("/v1/agents?slug=desk-2")).Json));
        Assert.Empty(Ids((await server.Client.GetAsync("/v1/agents?slug=none")).Json));
        Assert.Equal(400, (await server.Client.GetAsync("/v1/agents?name=x")).Status);
        using var foreign = await server.ForeignClientAsync();
        Assert.Empty(Ids((await foreign.GetAsync($"/v1/agents?after={ids[0]}")).Json));
    }

    [Fact]
    public async Task Get_Documents_CountsThoseThatAreReadyOrOnTheWay()
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewAgentAsync();
        await server.Database.WriteAsync(session =>
        {
            foreach (var status in new[] { "ready", "processing", "failed" })
            {
                InsertDocument(session, server, id, status);
            }
        });
        var agent = await server.Client.GetAsync($"/v1/agents/{id}");
        Assert.Equal(2, agent.Json.GetProperty("document_count").GetInt32());
    }

    [Fact]
    public async Task Delete_Agent_ErasesContentAndKeepsTheChain()
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewAgentAsync();
        var other = await server.NewAgentAsync();
        var ids = server.Server.Service<IdGenerator>();
        var conversation = await server.NewConversationAsync(id);
        for (var i = 1; i <= 250; i++)
        {
            await server.RunAsync(new RunRow(ids, id, conversation, i));
        }

        var active = await server.RunAsync(new RunRow(ids, id, conversation, 251) { Status = "running" });
        var alone = await server.RunAsync(new RunRow(ids, id, null, 0));
        var kept = await server.RunAsync(new RunRow(ids, other, await server.NewConversationAsync(other), 1));
        await server.Database.WriteAsync(session => InsertDocument(session, server, id, "ready"));

        Assert.Equal(204, (await server.Client.DeleteAsync($"/v1/agents/{id}")).Status);

        Assert.Equal([id], server.Cancelled);
        foreach (var path in new[]
        {
            $"/v1/agents/{id}", $"/v1/agents/{id}@1", $"/v1/agents/{id}/versions", $"/v1/conversations/{conversation}",
        })
        {
            Assert.Equal(404, (await server.Client.GetAsync(path)).Status);
        }

        Assert.Equal(404, (await server.Client.DeleteAsync($"/v1/agents/{id}")).Status);
        server.Database.Read(session =>
        {
            Assert.Equal(252, session.Count("SELECT count(*) FROM runs WHERE erased_at IS NOT NULL AND input IS NULL "
                + "AND output IS NULL AND user IS NULL AND user_id IS NULL AND metadata = '{}'"));
            Assert.Equal(
                252, session.Count("SELECT count(*) FROM run_events WHERE payload IS NULL AND hash IS NOT NULL"));
            Assert.Equal(1, session.Count("SELECT count(*) FROM runs WHERE id = $1 AND input IS NOT NULL", kept.Id));
            Assert.Equal(0, session.Count(
                "SELECT count(*) FROM runs WHERE id IN ($1, $2) AND erased_at IS NULL", active.Id, alone.Id));
            Assert.Equal(0, session.Count("SELECT count(*) FROM documents"));
            return 0;
        });
    }

    [Fact]
    public async Task Delete_WhileRunsKeepStarting_AnswersLaterAndKeepsTheAgent()
    {
        await using var server = await AgentServer.StartAsync(cancels: false);
        var id = await server.NewAgentAsync();
        var conversation = await server.NewConversationAsync(id);
        await server.RunAsync(
            new RunRow(server.Server.Service<IdGenerator>(), id, conversation, 1) { Status = "running" });
        var answer = await server.Client.DeleteAsync($"/v1/agents/{id}");
        Assert.Equal((503, "1"), (answer.Status, answer.Header("Retry-After")));
        Assert.Equal(200, (await server.Client.GetAsync($"/v1/agents/{id}")).Status);
    }

    [Fact]
    public async Task Resolve_VersionOfARolledBackTransaction_IsNotServed()
    {
        await using var server = await AgentServer.StartAsync();
        var id = await server.NewAgentAsync();
        var store = server.Server.Service<AgentStore>();
        var first = server.Database.Read(session => store.Resolve(session, server.Tenant, id))!;
        await Assert.ThrowsAsync<InvalidOperationException>(() => server.Database.WriteAsync(session =>
        {
            AgentStore.Advance(
                session, server.Tenant, first with { Number = 2, Config = first.Config with { Name = "Lost" } });
            Assert.Equal("Lost", store.Resolve(session, server.Tenant, id)!.Config.Name);
            throw new InvalidOperationException();
        }));
        await server.Client.PatchAsync($"/v1/agents/{id}", """{"name":"Kept"}""");
        var now = server.Database.Read(session => store.Resolve(session, server.Tenant, $"{id}@2"))!;
        Assert.Equal("Kept", now.Config.Name);
        Assert.Same(now, server.Database.Read(session => store.Resolve(session, server.Tenant, "desk")));
    }

    private static void InsertDocument(
        Reeve.Server.Storage.DbSession session, AgentServer server, string agentId, string status) =>
        session.Execute("INSERT INTO documents (id, account_id, agent_id, name, mime_type, bytes, sha256, status, "
            + "chunk_count, privacy_class, metadata, created_at, updated_at) "
            + "VALUES ($1, $2, $3, 'n', 'text/plain', 1, $1, $4, 0, "
            + "'standard', '{}', 1, 1)", $"doc_{status}", server.Tenant.AccountId, agentId, status);

    private static IEnumerable<string?> Ids(JsonElement page) =>
        page.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("id").GetString());
}
