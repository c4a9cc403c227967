using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Accounts;

public sealed class ApiKeyEndpointsTests
{
    private const string Path = "/v1/api-keys";

    [Fact]
    public async Task Create_WithEverything_AnswersAsDocumentedAndShowsTheKeyOnce()
    {
        await using var server = await TestServer.StartAsync();

        var made = await server.Client.PostAsync(Path, """
            {"name":"production app","scopes":["chat","usage","chat"],"expires_at":"2027-01-01T00:00:00+01:00",
             "limits":{"requestsPerMinute":120,"monthlyRequestLimit":10000,"monthlyUsdLimit":100,
                       "monthlyTokenLimit":null}}
            """);

        Assert.Equal(201, made.Status);
        var key = made.Json.GetProperty("key").GetString()!;
        var id = made.Json.GetProperty("id").GetString()!;
        Assert.Equal("mesh_live", ApiKeyText.KindOf(key));
        var record = $$"""{"id":"{{id}}","name":"production app","kind":"mesh_live","scopes":["chat","usage"],"""
            + $"\"last_four\":\"{key[^4..]}\",\"limits\":{{\"requestsPerMinute\":120,\"monthlyRequestLimit\":10000,"
            + "\"monthlyUsdLimit\":100,\"monthlyTokenLimit\":null},\"created_at\":\"2026-11-20T09:15:03.530Z\","
            + "\"last_used_at\":null,\"expires_at\":\"2026-12-31T23:00:00.000Z\",\"revoked_at\":null";
        Assert.Equal(record + $",\"key\":\"{key}\"}}", made.Text);
        var listed = await server.Client.GetAsync(Path);
        Assert.Equal(record + "}", listed.Json.GetProperty("data")[0].GetRawText());
        Assert.DoesNotContain(key[10..^4], listed.Text, StringComparison.Ordinal);
        Assert.False(FolderContains(server.Folder, key[10..^6]));
    }

    [Fact]
    public async Task Limits_OfOneKey_LeaveTheOtherKeysAsTheyAre()
    {
        await using var server = await TestServer.StartAsync();
        var one = await server.Client.PostAsync(
            Path, """{"name":"one","scopes":["chat"],"limits":{"requestsPerMinute":5}}""");
        var two = await server.Client.PostAsync(
            Path, """{"name":"two","scopes":["chat"],"limits":{"requestsPerMinute":6}}""");

        var changed = await server.Client.PatchAsync(
            $"{Path}/{one.Json.GetProperty("id").GetString()}/limits", """{"requestsPerMinute":7}""");

        Assert.Equal(200, changed.Status);
        var limits = (await server.Client.GetAsync(Path)).Json.GetProperty("data").EnumerateArray().ToDictionary(
            static key => key.GetProperty("id").GetString()!,
            static key => key.GetProperty("limits").GetProperty("requestsPerMinute").GetRawText());
        Assert.Equal("7", limits[one.Json.GetProperty("id").GetString()!]);
        Assert.Equal("6", limits[two.Json.GetProperty("id").GetString()!]);
        Assert.Equal(3, limits.Count);
        Assert.Equal(2, limits.Values.Count(static value => value is "7" or "6")); // The first key keeps its own.
    }

    [Theory]
    [InlineData("""{"scopes":["chat"]}""", "name")]
    [InlineData("""{"name":null,"scopes":["chat"]}""", "name")]
    [InlineData("""{"name":"","scopes":["chat"]}""", "name")]
    [InlineData("""{"name":"k"}""", "scopes")]
    [InlineData("""{"name":"k","scopes":[]}""", "scopes")]
    [InlineData("""{"name":"k","scopes":"chat"}""", "scopes")]
    [InlineData("""{"name":"k","scopes":["chat","root"]}""", "scopes[1]")]
    [InlineData("""{"name":"k","scopes":["chat"],"kind":"mesh"}""", "kind")]
    [InlineData("""{"name":"k","scopes":["chat"],"account_id":"acct_1"}""", "account_id")]
    [InlineData("""{"name":"k","scopes":["chat"],"limits":{"requestsPerMinute":0}}""", "limits.requestsPerMinute")]
    [InlineData("""{"name":"k","scopes":["chat"],"limits":{"monthlyUsdLimit":-1}}""", "limits.monthlyUsdLimit")]
    [InlineData("""{"name":"k","scopes":["chat"],"limits":{"requests_per_minute":1}}""", "limits.requests_per_minute")]
    [InlineData("""{"name":"k","scopes":["chat"],"expires_at":"2026-11-20T09:15:03.530Z"}""", "expires_at")]
    [InlineData("""{"name":"k","scopes":["chat"],"expires_at":"tomorrow"}""", "expires_at")]
    [InlineData("""{"name":"k","scopes":["chat"],"expires_at":1795166160}""", "expires_at")]
    [InlineData("""{"name":"k","scopes":["chat"],"agent_id":"agt_06F7557C5CM18FNXB2V5D4V72R"}""", "agent_id")]
    [InlineData("""{"name":"k","scopes":["chat"],"allowed_origins":["https://a.example"]}""", "allowed_origins")]
    [InlineData("""{"name":"k","scopes":["chat"],"kind":"afk_widget","allowed_origins":["https://a.b"]}""", "agent_id")]
    public async Task Create_BadBody_Is400NamingTheMember(string json, string param)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.Client.PostAsync(Path, json);

        Assert.Equal((400, param), (answer.Status, answer.ErrorParam));
        Assert.Equal(1, (await server.Client.GetAsync(Path)).Json.GetProperty("data").GetArrayLength());
    }

    [Theory]
    [InlineData("*")]
    [InlineData("null")]
    [InlineData("https://*")]
    [InlineData("https://example.com/")]
    [InlineData("https://example.com/path")]
    [InlineData("https://user@example.com")]
    [InlineData("ftp://example.com")]
    [InlineData("example.com")]
    [InlineData("https://a.*.example.com")]
    [InlineData("https://example.com\\n")]
    public async Task Create_WidgetKeyWithABadOrigin_Is400(string origin)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.Client.PostAsync(Path, $$"""
            {"name":"k","scopes":["chat"],"kind":"afk_widget","agent_id":"agt_06F7557C5CM18FNXB2V5D4V72R",
             "allowed_origins":["http://localhost:5173","{{origin}}"]}
            """);

        Assert.Equal((400, "allowed_origins[1]"), (answer.Status, answer.ErrorParam));
    }

    [Fact]
    public async Task Create_WidgetKeyForAnUnknownAgent_Is404()
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.Client.PostAsync(Path, """
            {"name":"k","scopes":["chat"],"kind":"afk_widget","agent_id":"agt_06F7557C5CM18FNXB2V5D4V72R",
             "allowed_origins":["https://example.com"]}
            """);

        Assert.Equal((404, "agent_id"), (answer.Status, answer.ErrorParam));
        Assert.Equal("No such agent exists in this account.",
            answer.Json.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task Create_WidgetKey_IsForAnAgentOfItsAccountAndShowsItsOrigins()
    {
        await using var server = await TestServer.StartAsync();
        var account = await server.Client.PostAsync("/v1/accounts", """{"name":"Other"}""");
        using var other = server.ClientFor(account.Json.GetProperty("key").GetString());
        var agent = await server.NewAgentAsync("\"model\":\"auto\"");
        var foreign = (await other.PostAsync("/v1/agents", """{"name":"Theirs","model":"auto"}"""))
            .Json.GetProperty("id").GetString();
        Task<TestAnswer> MakeAsync(string? of) => server.Client.PostAsync(Path, $$"""
            {"name":"k","scopes":["chat"],"kind":"afk_widget","agent_id":"{{of}}",
             "allowed_origins":["https://example.com","http://localhost:5173"]}
            """);

        Assert.Equal(404, (await MakeAsync(foreign)).Status);
        Assert.Equal(404, (await MakeAsync("agt_06F7557C5CM18FNXB2V5D4V72R")).Status);
        var made = await MakeAsync(agent);
        Assert.Equal((201, "afk_widget"), (made.Status, made.Json.GetProperty("kind").GetString()));
        var listed = (await server.Client.GetAsync(Path)).Json.GetProperty("data")[0];
        foreach (var key in new[] { made.Json, listed })
        {
            Assert.Equal(agent, key.GetProperty("agent_id").GetString());
            Assert.Equal("""["https://example.com","http://localhost:5173"]""",
                key.GetProperty("allowed_origins").GetRawText());
        }
    }

    [Fact]
    public async Task Revoke_TheLastAdminKeyBesideOthersThatAreNone_Is409()
    {
        await using var server = await TestServer.StartAsync();
        var agent = await server.NewAgentAsync("\"model\":\"auto\"");
        await server.NewKeyAsync("\"scopes\":[\"chat\",\"keys\"]");
        await server.NewKeyAsync("\"scopes\":[\"admin\"],\"expires_at\":\"2026-11-20T09:15:04.530Z\"");
        await server.NewKeyAsync("\"scopes\":[\"admin\"],\"kind\":\"afk_widget\","
            + $"\"agent_id\":\"{agent}\",\"allowed_origins\":[\"https://example.com\"]");
        await server.NewKeyAsync("\"scopes\":[\"admin\"]");
        Assert.Equal(204, (await server.Client.DeleteAsync($"{Path}/{await IdOfAsync(server, 0)}")).Status);
        await server.Client.PostAsync("/v1/accounts", """{"name":"Other"}"""); // with an admin key of its own
        var first = await IdOfAsync(server, 4);
        server.Time.Advance(TimeSpan.FromSeconds(1)); // The second one expires at this moment.

        Assert.Equal((409, "conflict"), Seen(await server.Client.DeleteAsync($"{Path}/{first}")));

        await server.NewKeyAsync("\"scopes\":[\"chat\",\"admin\"],\"expires_at\":\"2026-11-20T09:15:04.531Z\"");
        Assert.Equal(204, (await server.Client.DeleteAsync($"{Path}/{first}")).Status);
    }

    [Fact]
    public async Task Create_ByATestKey_MakesTestKeysOnly()
    {
        await using var server = await TestServer.StartAsync();
        using var maker = server.ClientFor(await server.NewKeyAsync("\"scopes\":[\"keys\"],\"kind\":\"mesh_test\""));

        var live = await maker.PostAsync(Path, """{"name":"k","scopes":["keys"]}""");
        var test = await maker.PostAsync(Path, """{"name":"k","scopes":["keys"],"kind":"mesh_test"}""");

        Assert.Equal((403, "kind"), (live.Status, live.ErrorParam));
        Assert.Equal(201, test.Status);
    }

    [Fact]
    public async Task Limits_OfAKeyThatIsLimitedItself_CannotBeLoosened()
    {
        await using var server = await TestServer.StartAsync();
        using var maker = server.ClientFor(await server.NewKeyAsync(
            "\"scopes\":[\"keys\"],\"limits\":{\"monthlyRequestLimit\":10}"));
        var own = $"{Path}/{await IdOfAsync(server, 0)}/limits";

        var looser = await maker.PatchAsync(own, """{"monthlyRequestLimit":11}""");
        var made = await maker.PostAsync(Path, """{"name":"k","scopes":["keys"]}""");

        Assert.Equal((403, "limits"), (looser.Status, looser.ErrorParam));
        Assert.Equal((403, "limits"), (made.Status, made.ErrorParam));
        Assert.Equal(200, (await maker.PatchAsync(own, """{"monthlyRequestLimit":9}""")).Status);
        Assert.Equal(200, (await server.Client.PatchAsync(own, """{"monthlyRequestLimit":null}""")).Status);
    }

    [Theory]
    [InlineData("""{"name":"k","scopes":["keys","chat"]}""", "scopes")]
    [InlineData("""{"name":"k","scopes":["admin"]}""", "scopes")]
    [InlineData("""{"name":"k","scopes":["keys"]}""", "expires_at")]
    [InlineData("""{"name":"k","scopes":["keys"],"expires_at":"2026-12-02T00:00:00Z"}""", "expires_at")]
    [InlineData("""{"name":"k","scopes":["keys"],"expires_at":"2026-12-01T00:00:00Z"}""", null)]
    public async Task Create_WiderThanItsMaker_Is403(string json, string? param)
    {
        await using var server = await TestServer.StartAsync();
        using var maker = server.ClientFor(await server.NewKeyAsync("""
            "scopes":["keys"],"expires_at":"2026-12-01T00:00:00Z"
            """));

        var answer = await maker.PostAsync(Path, json);

        Assert.Equal((param is null ? 201 : 403, param), (answer.Status, answer.ErrorParam));
    }

    [Fact]
    public async Task Revoke_TheLastLiveAdminKey_Is409()
    {
        await using var server = await TestServer.StartAsync();
        var first = await IdOfAsync(server, 0);

        Assert.Equal((409, "conflict"), Seen(await server.Client.DeleteAsync($"{Path}/{first}")));

        using var second = server.ClientFor(await server.NewKeyAsync("""
            "scopes":["admin"]
            """));
        Assert.Equal(204, (await second.DeleteAsync($"{Path}/{first}")).Status);
        Assert.Equal(401, (await server.Client.GetAsync(Path)).Status);
        var listed = (await second.GetAsync(Path)).Json.GetProperty("data");
        Assert.Equal("2026-11-20T09:15:03.530Z", listed[1].GetProperty("revoked_at").GetString());
        var own = listed[0].GetProperty("id").GetString();
        Assert.Equal((409, "conflict"), Seen(await second.DeleteAsync($"{Path}/{own}")));
    }

    [Fact]
    public async Task Revoke_AnAdminKeyWhileTheOtherExpires_CountsLiveKeysOnly()
    {
        await using var server = await TestServer.StartAsync();
        await server.NewKeyAsync("""
            "scopes":["admin"],"expires_at":"2026-11-20T09:16:00Z"
            """);
        var first = await IdOfAsync(server, 1);

        server.Time.Advance(TimeSpan.FromMinutes(2));

        Assert.Equal(409, (await server.Client.DeleteAsync($"{Path}/{first}")).Status);
    }

    [Theory]
    [InlineData("DELETE", "")]
    [InlineData("PATCH", "/limits")]
    public async Task Key_ForeignUnknownOrMalformed_Is404OfOneShape(string method, string suffix)
    {
        await using var server = await TestServer.StartAsync();
        var account = await server.Client.PostAsync("/v1/accounts", """{"name":"Other"}""");
        using var other = server.ClientFor(account.Json.GetProperty("key").GetString());
        var foreign = (await other.GetAsync(Path)).Json.GetProperty("data")[0].GetProperty("id").GetString();

        var texts = new HashSet<string>();
        foreach (var id in new[] { foreign, "key_06F7557C5CM18FNXB2V5D4V72R", "key_1", "agt_1" })
        {
            var answer = await server.Client.SendAsync(method, $"{Path}/{id}{suffix}", method == "PATCH" ? "{}" : null);
            Assert.Equal(404, answer.Status);
            texts.Add(answer.Text.Replace(answer.Header("x-request-id")!, "", StringComparison.Ordinal));
        }

        Assert.Single(texts);
        Assert.Equal(1, (await other.GetAsync(Path)).Json.GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task List_InPages_ShowsEveryKeyOnceNewestFirst()
    {
        await using var server = await TestServer.StartAsync();
        for (var i = 0; i < 4; i++)
        {
            await server.NewKeyAsync("""
                "scopes":["chat"]
                """);
        }

        var seen = new List<string>();
        for (var path = $"{Path}?limit=2"; path is not null;)
        {
            var page = (await server.Client.GetAsync(path)).Json;
            seen.AddRange(page.GetProperty("data").EnumerateArray()
                .Select(static key => key.GetProperty("id").GetString()!));
            var cursor = page.GetProperty("next_cursor");
            Assert.Equal(page.GetProperty("has_more").GetBoolean(), cursor.ValueKind == JsonValueKind.String);
            path = cursor.ValueKind == JsonValueKind.Null ? null : $"{Path}?limit=2&after={cursor.GetString()}";
        }

        Assert.Equal(5, seen.Count);
        Assert.Equal(seen.OrderDescending(StringComparer.Ordinal), seen);
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=101", "limit")]
    [InlineData("limit=abc", "limit")]
    [InlineData("limit=1&limit=2", "limit")]
    [InlineData("after=", "after")]
    [InlineData("after=key_1", "after")]
    [InlineData("page=2", "page")]
    public async Task List_BadQuery_Is400(string query, string param)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.Client.GetAsync($"{Path}?{query}");

        Assert.Equal((400, param), (answer.Status, answer.ErrorParam));
    }

    [Theory]
    [InlineData("{\"requestsPerMinute\":1.5}", "requestsPerMinute")]
    [InlineData("{\"limits\":{}}", "limits")]
    public async Task Limits_BadBody_Is400(string json, string param)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.Client.PatchAsync($"{Path}/{await IdOfAsync(server, 0)}/limits", json);

        Assert.Equal((400, param), (answer.Status, answer.ErrorParam));
    }

    private static (int Status, string? Code) Seen(TestAnswer answer) => (answer.Status, answer.ErrorCode);

    private static async Task<string> IdOfAsync(TestServer server, int position) =>
        (await server.Client.GetAsync(Path)).Json.GetProperty("data")[position].GetProperty("id").GetString()!;

    private static bool FolderContains(string folder, string text) => Directory.EnumerateFiles(folder)
        .Where(static file => System.IO.Path.GetFileName(file) != "lock")
        .Any(file =>
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var reader = new StreamReader(stream, System.Text.Encoding.Latin1);
            return reader.ReadToEnd().Contains(text, StringComparison.Ordinal);
        });
}
