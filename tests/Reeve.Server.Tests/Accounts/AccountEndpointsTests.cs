using Microsoft.Extensions.DependencyInjection;
using Reeve.Server.Accounts;

namespace Reeve.Server.Tests.Accounts;

public sealed class AccountEndpointsTests
{
    private const string Path = "/v1/accounts";

    [Fact]
    public async Task Me_OfTheFirstAccount_IsAsDocumented()
    {
        await using var server = await StartAsync();
        var id = server.Database.Read(static session => session.Single("SELECT id FROM accounts",
            static row => row.GetString(0)));
        await server.Database.WriteAsync(session => session.Execute(
            "UPDATE balances SET available = 24994918, held = 5082 WHERE account_id = $1 AND mode = 'live'", id));

        var answer = await server.Client.GetAsync($"{Path}/me");

        Assert.Equal("application/json; charset=utf-8", answer.Header("Content-Type"));
        Assert.Equal($$"""{"id":"{{id}}","name":"Default","plan":"enterprise","status":"active","""
            + "\"balanceUsd\":24.994918,\"balance_credits\":24994.918,\"held_usd\":0.005082,\"test_balance_usd\":10,"
            + "\"limits\":{\"requestsPerMinute\":null,\"monthlyRequestLimit\":null,\"monthlyUsdLimit\":null,"
            + "\"monthlyTokenLimit\":null},\"metadata\":{},\"created_at\":\"2026-11-20T09:15:03.530Z\"}", answer.Text);
    }

    [Fact]
    public async Task Create_ByTheOperator_MakesAnAccountWithTestMoneyAndOneAdminKey()
    {
        await using var server = await StartAsync();

        var made = await server.Client.PostAsync(Path,
            """{"name":"Customer","plan":"pro","limits":{"monthlyUsdLimit":20.5}}""");

        Assert.Equal(201, made.Status);
        Assert.Equal(0, made.Json.GetProperty("balanceUsd").GetDecimal());
        Assert.Equal(10, made.Json.GetProperty("test_balance_usd").GetDecimal());
        Assert.Equal(20.5m, made.Json.GetProperty("limits").GetProperty("monthlyUsdLimit").GetDecimal());
        using var customer = server.ClientFor(made.Json.GetProperty("key").GetString());
        var own = await customer.GetAsync($"{Path}/me");
        Assert.Equal("300", own.Header("X-RateLimit-Limit"));
        Assert.Equal(made.Json.GetProperty("id").GetString(), own.Json.GetProperty("id").GetString());
        Assert.False(own.Json.TryGetProperty("key", out _));
        Assert.Equal(200, (await customer.GetAsync("/v1/api-keys")).Status);
    }

    [Theory]
    [InlineData("{}", "name")]
    [InlineData("""{"name":"a","plan":"gold"}""", "plan")]
    [InlineData("""{"name":"a","status":"active"}""", "status")]
    [InlineData("""{"name":"a","credits":5}""", "credits")]
    [InlineData("""{"name":"a","limits":{"monthlyTokenLimit":0}}""", "limits.monthlyTokenLimit")]
    public async Task Create_BadBody_Is400AndMakesNothing(string json, string param)
    {
        await using var server = await StartAsync();

        var answer = await server.Client.PostAsync(Path, json);

        Assert.Equal((400, param), (answer.Status, answer.ErrorParam));
        Assert.Equal(1, (await server.Client.GetAsync(Path)).Json.GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task Change_ByTheOperator_KeepsWhatIsNotNamedAndResetsByNull()
    {
        await using var server = await StartAsync();
        var id = await NewAccountAsync(server);

        await server.Client.PatchAsync($"{Path}/{id}", """{"plan":"pro","metadata":{"crm":[1,{"a":null}]}}""");
        var changed = await server.Client.PatchAsync($"{Path}/{id}", """{"name":"Renamed"}""");
        Assert.Equal(("Renamed", "pro", """{"crm":[1,{"a":null}]}"""), (
            changed.Json.GetProperty("name").GetString(), changed.Json.GetProperty("plan").GetString(),
            changed.Json.GetProperty("metadata").GetRawText()));

        await server.Client.PatchAsync($"{Path}/{id}", """{"plan":null,"metadata":null}""");
        var reset = (await server.Client.GetAsync($"{Path}/{id}")).Json;
        Assert.Equal(("free", "{}"), (
            reset.GetProperty("plan").GetString(), reset.GetProperty("metadata").GetRawText()));
        Assert.Equal(400, (await server.Client.PatchAsync($"{Path}/{id}", """{"name":null}""")).Status);
    }

    [Fact]
    public async Task Limits_ByTheOperator_AreMergedAndHoldAtOnce()
    {
        await using var server = await StartAsync();
        var made = await server.Client.PostAsync(Path, """{"name":"Customer","limits":{"monthlyTokenLimit":5}}""");
        using var customer = server.ClientFor(made.Json.GetProperty("key").GetString());
        await customer.GetAsync($"{Path}/me");

        var limited = await server.Client.PatchAsync(
            $"{Path}/{made.Json.GetProperty("id").GetString()}/limits", """{"requestsPerMinute":1}""");

        Assert.Equal(5, limited.Json.GetProperty("limits").GetProperty("monthlyTokenLimit").GetInt32());
        Assert.Equal(429, (await customer.GetAsync($"{Path}/me")).Status);
    }

    [Theory]
    [InlineData("closed")]
    [InlineData("suspended")]
    public async Task Change_TheFirstAccountToNotActive_Is409(string status)
    {
        await using var server = await StartAsync();
        var id = (await server.Client.GetAsync($"{Path}/me")).Json.GetProperty("id").GetString();

        var answer = await server.Client.PatchAsync($"{Path}/{id}", $$"""{"status":"{{status}}"}""");

        Assert.Equal((409, "conflict"), (answer.Status, answer.ErrorCode));
        Assert.Equal(200, (await server.Client.GetAsync($"{Path}/me")).Status);
    }

    [Fact]
    public async Task Customer_WithAnAdminKey_ReachesItsOwnAccountAlone()
    {
        await using var server = await StartAsync();
        var made = await server.Client.PostAsync(Path, """{"name":"Customer"}""");
        var own = made.Json.GetProperty("id").GetString();
        var other = await NewAccountAsync(server);
        using var customer = server.ClientFor(made.Json.GetProperty("key").GetString());

        Assert.Equal(200, (await customer.GetAsync($"{Path}/{own}")).Status);
        Assert.Equal(200, (await customer.PatchAsync($"{Path}/{own}", """{"name":"Mine"}""")).Status);
        Assert.Equal(1, (await customer.GetAsync(Path)).Json.GetProperty("data").GetArrayLength());
        Assert.Equal(3, (await server.Client.GetAsync(Path)).Json.GetProperty("data").GetArrayLength());
        Assert.Equal(404, (await customer.GetAsync($"{Path}/{other}")).Status);
        Assert.Equal(404, (await customer.PatchAsync($"{Path}/{other}", """{"name":"Mine"}""")).Status);
        Assert.Equal(404, (await customer.PatchAsync($"{Path}/{other}/limits", "{}")).Status);
        Assert.Equal(403, (await customer.PostAsync(Path, """{"name":"New"}""")).Status);
        Assert.Equal((403, "plan"), Blamed(await customer.PatchAsync($"{Path}/{own}", """{"plan":"pro"}""")));
        Assert.Equal((403, "status"), Blamed(await customer.PatchAsync($"{Path}/{own}", """{"status":"active"}""")));
        Assert.Equal(403, (await customer.PatchAsync($"{Path}/{own}/limits", "{}")).Status);
    }

    [Theory]
    [InlineData("GET", "", "chat")]
    [InlineData("POST", "", "keys")]
    [InlineData("GET", "/acct_06EY539WF2JMVJGR4MRBP7BD2C", "usage")]
    [InlineData("PATCH", "/acct_06EY539WF2JMVJGR4MRBP7BD2C", "agents")]
    [InlineData("PATCH", "/acct_06EY539WF2JMVJGR4MRBP7BD2C/limits", "approvals")]
    public async Task Account_WithoutAdmin_Is403(string method, string suffix, string scope)
    {
        await using var server = await StartAsync();
        using var client = server.ClientFor(await server.NewKeyAsync($"\"scopes\":[\"{scope}\"]"));

        var answer = await client.SendAsync(method, Path + suffix, method == "GET" ? null : "{}");

        Assert.Equal((403, "admin"), Blamed(answer));
    }

    private static Task<TestServer> StartAsync() => TestServer.StartAsync(configure: static builder =>
        builder.Services.AddSingleton<NewAccountGrant>(static (session, accountId, _) =>
        {
            session.Execute("INSERT INTO balances VALUES ($1, 'live', 0, 0)", accountId);
            session.Execute("INSERT INTO balances VALUES ($1, 'test', 10000000, 0)", accountId);
        }));

    private static async Task<string> NewAccountAsync(TestServer server) =>
        (await server.Client.PostAsync(Path, """{"name":"Another"}""")).Json.GetProperty("id").GetString()!;

    private static (int Status, string? Param) Blamed(TestAnswer answer) => (answer.Status, answer.ErrorParam);
}
