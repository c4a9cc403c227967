using System.Text.Json;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Credits;

/// <summary>Usage, ledger and top-up, as users see them.</summary>
public sealed class CreditEndpointsTests
{
    [Fact]
    public async Task Usage_OfTwoDays_IsSummedByEachWord()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        await server.RunAsync(agent, "\"user\":{\"id\":\"ann\"}");
        server.Time.Advance(TimeSpan.FromDays(1));
        await server.RunAsync(agent, "\"user\":{\"id\":\"=bob\"}");
        await server.RunAsync(agent, "\"user\":{\"id\":\"=bob\"}");

        Assert.Equal(["2026-11-21 2", "2026-11-20 1"], await KeysAsync(server, ""));
        Assert.Equal(["2026-11-21 2", "2026-11-20 1"], await KeysAsync(server, "group_by=day"));
        Assert.Equal(["mesh/house-1 3"], await KeysAsync(server, "group_by=model"));
        Assert.Equal([$"{agent} 3"], await KeysAsync(server, "group_by=agent"));
        Assert.Equal(["=bob 2", "ann 1"], await KeysAsync(server, "group_by=user"));
        Assert.StartsWith("key_", Assert.Single(await KeysAsync(server, "group_by=key")), StringComparison.Ordinal);
        Assert.Equal(["2026-11-21 2", "2026-11-20 1"], await KeysAsync(server, "mode=live"));
        Assert.Empty(await KeysAsync(server, "mode=test"));
        Assert.Equal("""
            {"data":[{"key":"=bob","requests":2,"runs":2,"input_tokens":20,"output_tokens":24,"upstream_usd":0.00042,
            "margin_usd":0.000042,"total_usd":0.000462,"credits":0.462},{"key":"ann","requests":1,"runs":1,
            "input_tokens":10,"output_tokens":12,"upstream_usd":0.00021,"margin_usd":0.000021,"total_usd":0.000231,
            "credits":0.231}],"has_more":false,"next_cursor":null,"totals":{"requests":3,"runs":3,"input_tokens":30,
            "output_tokens":36,"upstream_usd":0.00063,"margin_usd":0.000063,"total_usd":0.000693,"credits":0.693}}
            """.ReplaceLineEndings(""), (await server.Client.GetAsync("/v1/usage?group_by=user")).Text);
        var csv = await server.Client.GetAsync("/v1/usage?group_by=user&format=csv");
        Assert.Equal("text/csv; charset=utf-8", csv.Header("Content-Type"));
        Assert.Equal("key,requests,runs,input_tokens,output_tokens,upstream_usd,margin_usd,total_usd,credits\r\n"
            + "'=bob,2,2,20,24,0.00042,0.000042,0.000462,0.462\r\nann,1,1,10,12,0.00021,0.000021,0.000231,0.231\r\n",
            csv.Text);
    }

    [Theory]
    [InlineData("ann", "ann")]
    [InlineData("=", "'=")]
    [InlineData("+ann", "'+ann")]
    [InlineData("-ann", "'-ann")]
    [InlineData("@ann", "'@ann")]
    [InlineData("  =1", "'  =1")]
    [InlineData("\\t=1", "'\t=1")]
    [InlineData("\\tann", "'\tann")]
    [InlineData("a=b", "a=b")]
    [InlineData("a,b", "\"a,b\"")]
    [InlineData(",b", "\",b\"")]
    [InlineData("a\\\"b", "\"a\"\"b\"")]
    public async Task UsageCsv_UserOfAnyText_IsOneHarmlessField(string user, string field)
    {
        await using var server = await StartAsync();
        await server.RunAsync(await server.NewAgentAsync(), $$"""
            "user":{"id":"{{user}}"}
            """);

        var csv = await server.Client.GetAsync("/v1/usage?group_by=user&format=csv");

        Assert.StartsWith(field + ",1,1,", csv.Text.Split("\r\n")[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task UsageCsv_OfNobody_HasAnEmptyField()
    {
        await using var server = await StartAsync();
        await server.RunAsync(await server.NewAgentAsync());

        var csv = await server.Client.GetAsync("/v1/usage?group_by=user&format=csv");
        var json = await server.Client.GetAsync("/v1/usage?group_by=user&format=json");

        Assert.StartsWith(",1,1,", csv.Text.Split("\r\n")[1], StringComparison.Ordinal);
        Assert.Equal("", json.Json.GetProperty("data")[0].GetProperty("key").GetString());
    }

    [Fact]
    public async Task Usage_FromAndTo_AreTheFirstMomentInsideAndTheFirstOutside()
    {
        await using var server = await StartAsync();
        await server.RunAsync(await server.NewAgentAsync()); // At 09:15:03.530.

        Assert.Single(await KeysAsync(server, "from=2026-11-20T09:15:03.530Z&to=2026-11-21"));
        Assert.Empty(await KeysAsync(server, "from=2026-11-20T09:15:03.531Z&to=2026-11-21"));
        Assert.Single(await KeysAsync(server, "to=2026-11-20T09:15:03.531Z"));
        Assert.Empty(await KeysAsync(server, "to=2026-11-20T09:15:03.530Z"));
        Assert.Single(await KeysAsync(server, "from=2025-11-20&to=2026-11-21")); // 366 days.
        Assert.Equal((400, "from"), await RefusedAsync(server, "/v1/usage?from=2025-11-20&to=2026-11-21T00:00:01Z"));
        Assert.Equal((400, "from"), await RefusedAsync(server, "/v1/usage?from=2026-11-21&to=2026-11-20"));
        Assert.Empty(await KeysAsync(server, "from=2026-11-20&to=2026-11-20"));
        Assert.Empty(await KeysAsync(server, "to=1971-01-01"));
        server.Time.Advance(TimeSpan.FromDays(30));
        Assert.Single(await KeysAsync(server, "from=2026-11-20"));
        Assert.Empty(await KeysAsync(server, "")); // The last 30 days.
        Assert.Single(await KeysAsync(server, "to=2026-12-20T09:15:03Z"));
    }

    [Theory]
    [InlineData("/v1/usage?group_by=run", "group_by")]
    [InlineData("/v1/usage?mode=real", "mode")]
    [InlineData("/v1/usage?format=xml", "format")]
    [InlineData("/v1/usage?from=yesterday", "from")]
    [InlineData("/v1/usage?to=now", "to")]
    [InlineData("/v1/usage?limit=1", "limit")]
    [InlineData("/v1/ledger?type=loss", "type")]
    [InlineData("/v1/ledger?mode=real", "mode")]
    [InlineData("/v1/ledger?after=run_1", "after")]
    [InlineData("/v1/ledger?from=2026-11-20", "from")]
    public async Task Query_ThatIsWrong_IsNamed(string path, string param)
    {
        await using var server = await StartAsync();

        Assert.Equal((400, param), await RefusedAsync(server, path));
    }

    [Fact]
    public async Task Ledger_Filters_LeaveWhatWasAskedForNewestFirst()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var run = (await server.RunAsync(agent)).Json.GetProperty("run_id").GetString()!;
        await server.RunAsync(agent);

        Assert.Equal(
            ["settle", "release", "hold", "settle", "release", "hold", "topup", "topup"],
            await TypesAsync(server, "limit=100"));
        Assert.Equal(["settle", "release", "hold"], await TypesAsync(server, $"run_id={run}"));
        Assert.Equal(["settle", "release", "hold"], await TypesAsync(server, $"run_id={run.ToUpperInvariant()}"));
        Assert.Empty(await TypesAsync(server, "run_id=none"));
        Assert.Equal(["hold", "hold"], await TypesAsync(server, "type=hold"));
        Assert.Equal(["release", "release"], await TypesAsync(server, "type=release"));
        Assert.Empty(await TypesAsync(server, "type=adjustment"));
        Assert.Equal(["topup"], await TypesAsync(server, "mode=test"));
        Assert.Equal(["topup"], await TypesAsync(server, "mode=live&type=topup"));
        var settle = (await server.LedgerAsync("type=settle"))[1];
        Assert.Equal((run, -0.000231m, 9.999769m, "live", "2026-11-20T09:15:03.530Z"), (
            settle.GetProperty("run_id").GetString(), settle.GetProperty("amount_usd").GetDecimal(),
            settle.GetProperty("balance_usd").GetDecimal(), settle.GetProperty("mode").GetString(),
            settle.GetProperty("created_at").GetString()));
        Assert.StartsWith("rcpt_", settle.GetProperty("receipt_id").GetString(), StringComparison.Ordinal);
        Assert.Equal("Starting balance", (await server.LedgerAsync("type=topup"))[0].GetProperty("note").GetString());
    }

    [Fact]
    public async Task Ledger_InPages_GivesEachEntryOnce()
    {
        await using var server = await StartAsync();
        await server.RunAsync(await server.NewAgentAsync());
        var whole = await server.LedgerAsync("limit=100");

        var ids = new List<string?>();
        string? after = null;
        do
        {
            var page = (await server.Client.GetAsync("/v1/ledger?limit=2" + after)).Json;
            ids.AddRange(page.GetProperty("data").EnumerateArray().Select(one => one.GetProperty("id").GetString()));
            after = page.GetProperty("has_more").GetBoolean()
                ? "&after=" + page.GetProperty("next_cursor").GetString() : null;
        }
        while (after is not null);

        Assert.Equal(whole.EnumerateArray().Select(one => one.GetProperty("id").GetString()), ids);
    }

    [Fact]
    public async Task Adjust_AddsAndTakes_DownToNothing()
    {
        await using var server = await StartAsync();
        var path = $"/v1/accounts/{(await server.AccountAsync()).GetProperty("id").GetString()}/credits";

        var added = await server.Client.PostAsync(path, """{"amount_usd":2.5,"note":"Thanks"}""");
        var tooMuch = await server.Client.PostAsync(path, """{"amount_usd":-12.500001}""");
        var taken = await server.Client.PostAsync(path, """{"amount_usd":-12.5}""");
        var test = await server.Client.PostAsync(path, """{"amount_usd":1,"mode":"test"}""");
        var live = await server.Client.PostAsync(path, """{"amount_usd":1,"mode":"live","note":""}""");
        var longest = await server.Client.PostAsync(path, Noted(200));
        var tooLong = await server.Client.PostAsync(path, Noted(201));
        var query = await server.Client.PostAsync(path + "?mode=test", Noted(1));

        Assert.Equal((201, "topup", 2.5m, 12.5m, "live", "Thanks"), Shown(added));
        Assert.Equal((409, "conflict", "amount_usd"), (tooMuch.Status, tooMuch.ErrorCode, tooMuch.ErrorParam));
        Assert.Equal((201, "adjustment", -12.5m, 0m, "live", null), Shown(taken));
        Assert.Equal((201, "topup", 1m, 11m, "test", null), Shown(test));
        Assert.Equal((201, "topup", 1m, 1m, "live", ""), Shown(live));
        Assert.Equal(201, longest.Status);
        Assert.Equal((400, "note"), (tooLong.Status, tooLong.ErrorParam));
        Assert.Equal((400, "mode"), (query.Status, query.ErrorParam));
        Assert.Equal(added.Text, (await server.LedgerAsync("limit=5"))[4].GetRawText());
        await server.AssertSoundAsync();
    }

    [Theory]
    [InlineData("{}", "amount_usd")]
    [InlineData("""{"amount_usd":0}""", "amount_usd")]
    [InlineData("""{"amount_usd":0.0000001}""", "amount_usd")]
    [InlineData("""{"amount_usd":1000000000.1}""", "amount_usd")]
    [InlineData("""{"amount_usd":-1000000000.1}""", "amount_usd")]
    [InlineData("""{"amount_usd":1,"mode":"real"}""", "mode")]
    [InlineData("""{"amount_usd":1,"note":5}""", "note")]
    [InlineData("""{"amount_usd":1,"reason":"x"}""", "reason")]
    public async Task Adjust_BadBody_Is400AndMovesNothing(string json, string param)
    {
        await using var server = await StartAsync();
        var path = $"/v1/accounts/{(await server.AccountAsync()).GetProperty("id").GetString()}/credits";

        var answer = await server.Client.PostAsync(path, json);

        Assert.Equal((400, param), (answer.Status, answer.ErrorParam));
        Assert.Equal(2, (await server.LedgerAsync()).GetArrayLength());
    }

    [Fact]
    public async Task OtherAccounts_AreTheOperatorsToSeeAndToFill()
    {
        await using var server = await StartAsync();
        await server.RunAsync(await server.NewAgentAsync());
        var me = (await server.AccountAsync()).GetProperty("id").GetString();
        var made = (await server.Client.PostAsync("/v1/accounts", """{"name":"Customer"}""")).Json;
        var other = made.GetProperty("id").GetString();
        using var customer = server.ClientFor(made.GetProperty("key").GetString());
        using var reader = server.ClientFor(await server.NewKeyAsync("\"scopes\":[\"usage\"]"));
        using var tester = server.ClientFor(
            await server.NewKeyAsync("\"kind\":\"mesh_test\",\"scopes\":[\"admin\"]"));
        const string Money = """{"amount_usd":1}""";

        Assert.Equal(0, made.GetProperty("balanceUsd").GetDecimal()); // Only the first account begins with money.
        Assert.Equal(1, await RequestsAsync(reader, $"?accountId={me}"));
        Assert.Equal(1, await RequestsAsync(reader, $"?accountId={me!.ToUpperInvariant()}"));
        Assert.Equal(0, await RequestsAsync(server.Client, $"?accountId={other}"));
        Assert.Equal("""{"requests":0,"runs":0,"input_tokens":0,"output_tokens":0,"upstream_usd":0,"""
            + "\"margin_usd\":0,\"total_usd\":0,\"credits\":0}",
            (await customer.GetAsync("/v1/usage")).Json.GetProperty("totals").GetRawText());
        var unseen = await reader.GetAsync($"/v1/usage?accountId={other}");
        Assert.Equal((404, "accountId"), (unseen.Status, unseen.ErrorParam));
        Assert.Equal(404, (await customer.GetAsync($"/v1/usage?accountId={me}")).Status);
        var unknown = await server.Client.GetAsync("/v1/usage?accountId=nobody");
        Assert.Equal((404, MessageOf(unseen)), (unknown.Status, MessageOf(unknown)));
        Assert.Equal(201, (await server.Client.PostAsync($"/v1/accounts/{other}/credits", Money)).Status);
        Assert.Equal(403, (await customer.PostAsync($"/v1/accounts/{other}/credits", Money)).Status);
        Assert.Equal(404, (await customer.PostAsync($"/v1/accounts/{me}/credits", Money)).Status);
        Assert.Equal(403, (await tester.PostAsync($"/v1/accounts/{me}/credits", Money)).Status);
        Assert.Equal(403, (await reader.PostAsync($"/v1/accounts/{me}/credits", Money)).Status);
        using var runner = server.ClientFor(await server.NewKeyAsync("\"scopes\":[\"chat\"]"));
        Assert.Equal(403, (await runner.GetAsync("/v1/usage")).Status);
        Assert.Equal(403, (await runner.GetAsync("/v1/ledger")).Status);
    }

    [Fact]
    public async Task Usage_OfARunWithTwoCalls_CountsTwoRequestsAndOneRun()
    {
        var model = new ScriptedChatClient().Reply(Call("time-now", "{}"), Usage(10, 5)).Reply("Late.", Usage(20, 6));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        await server.RunAsync(await server.NewAgentAsync("\"tools\":[{\"name\":\"time\",\"type\":\"builtin\"}]"));

        var usage = (await server.Client.GetAsync("/v1/usage")).Json;

        foreach (var sum in new[] { usage.GetProperty("totals"), usage.GetProperty("data")[0] })
        {
            Assert.Equal((2, 1, 30, 11), (sum.GetProperty("requests").GetInt32(), sum.GetProperty("runs").GetInt32(),
                sum.GetProperty("input_tokens").GetInt32(), sum.GetProperty("output_tokens").GetInt32()));
        }
    }

    private static string? MessageOf(TestAnswer answer) =>
        answer.Json.GetProperty("error").GetProperty("message").GetString();

    private static string Noted(int length) => $$"""{"amount_usd":1,"note":"{{new string('n', length)}}"}""";

    private static async Task<TestServer> StartAsync()
    {
        var model = new ScriptedChatClient().Reply("Hi.", Usage(10, 12)); // 210 micro-USD, and a tenth of it.
        return await TestServer.StartAsync(
            static options => options with { Credits = options.Credits with { MarginRate = 0.1m } },
            builder => model.AddTo(builder));
    }

    private static async Task<List<string>> KeysAsync(TestServer server, string query)
    {
        var answer = await server.Client.GetAsync("/v1/usage?" + query);
        Assert.True(answer.Status == 200, answer.Text);
        return [.. answer.Json.GetProperty("data").EnumerateArray().Select(static one =>
            $"{one.GetProperty("key").GetString()} {one.GetProperty("requests").GetInt64()}")];
    }

    private static async Task<List<string?>> TypesAsync(TestServer server, string query) =>
        [.. (await server.LedgerAsync(query)).EnumerateArray().Select(static one =>
            one.GetProperty("type").GetString())];

    private static async Task<(int Status, string? Param)> RefusedAsync(TestServer server, string path)
    {
        var answer = await server.Client.GetAsync(path);
        return (answer.Status, answer.ErrorParam);
    }

    private static async Task<long> RequestsAsync(TestClient client, string query) =>
        (await client.GetAsync("/v1/usage" + query)).Json.GetProperty("totals").GetProperty("requests").GetInt64();

    private static (int Status, string? Type, decimal Amount, decimal Balance, string? Mode, string? Note) Shown(
        TestAnswer answer) => (answer.Status, answer.Json.GetProperty("type").GetString(),
            answer.Json.GetProperty("amount_usd").GetDecimal(), answer.Json.GetProperty("balance_usd").GetDecimal(),
            answer.Json.GetProperty("mode").GetString(),
            answer.Json.GetProperty("note") is { ValueKind: JsonValueKind.String } note ? note.GetString() : null);
}
