using Reeve.Server.Accounts;

namespace Reeve.Server.Tests.Accounts;

public sealed class RateLimitTests
{
    private const string OwnAccount = "/v1/accounts/me";

    [Fact]
    public async Task Headers_OfAnAnswer_DescribeTheLimitWithTheLeastLeft()
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(await server.NewKeyAsync("""
            "scopes":["chat"],"limits":{"requestsPerMinute":3}
            """));

        var answer = await client.GetAsync(OwnAccount);

        Assert.Equal("3", answer.Header("X-RateLimit-Limit"));
        Assert.Equal("2", answer.Header("X-RateLimit-Remaining"));
        Assert.Equal("1795166160", answer.Header("X-RateLimit-Reset")); // 09:16:00
        Assert.Equal("\"key\";q=3;w=60", answer.Header("RateLimit-Policy"));
        Assert.Equal("\"key\";r=2;t=57", answer.Header("RateLimit"));
        Assert.Equal("\"account\";q=60000;w=60", (await server.Client.GetAsync(OwnAccount)).Header("RateLimit-Policy"));
    }

    [Fact]
    public async Task Headers_WhenAccountAndKeyHaveAsMuchLeft_DescribeTheAccount()
    {
        await using var server = await TestServer.StartAsync();
        var account = await server.Client.PostAsync("/v1/accounts", """{"name":"Customer"}""");
        using var first = server.ClientFor(account.Json.GetProperty("key").GetString());
        var made = await first.PostAsync(
            "/v1/api-keys", """{"name":"k","scopes":["chat"],"limits":{"requestsPerMinute":9}}""");
        using var second = server.ClientFor(made.Json.GetProperty("key").GetString());

        var same = await second.GetAsync(OwnAccount);
        Assert.Equal("\"account\";q=10;w=60", same.Header("RateLimit-Policy"));
        Assert.Equal("8", same.Header("X-RateLimit-Remaining"));
    }

    [Fact]
    public async Task Minute_Exhausted_Is429UntilTheNextUnixMinute()
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(await server.NewKeyAsync("""
            "scopes":["chat"],"limits":{"requestsPerMinute":2}
            """));
        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
        Assert.Equal(403, (await client.GetAsync("/v1/api-keys")).Status); // A refused request counts too.

        var refused = await client.GetAsync(OwnAccount);
        Assert.Equal((429, "rate_limited"), (refused.Status, refused.ErrorCode));
        Assert.Equal("limits.requestsPerMinute", refused.ErrorParam);
        Assert.Equal("The key's limit of requests a minute is reached.", MessageOf(refused));
        Assert.Equal("57", refused.Header("Retry-After"));
        Assert.Equal("0", refused.Header("X-RateLimit-Remaining"));

        server.Time.Advance(TimeSpan.FromSeconds(56.469)); // 09:15:59.999
        var last = await client.GetAsync(OwnAccount);
        Assert.Equal((429, "1"), (last.Status, last.Header("Retry-After")));
        server.Time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
    }

    [Fact]
    public async Task Scope_Missing_IsToldBeforeTheLimit()
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(await server.NewKeyAsync("""
            "scopes":["chat"],"limits":{"requestsPerMinute":1}
            """));
        await client.GetAsync(OwnAccount);

        Assert.Equal(403, (await client.GetAsync("/v1/api-keys")).Status);
        Assert.Equal(429, (await client.GetAsync(OwnAccount)).Status);
    }

    [Fact]
    public async Task Minute_OfAccountAndKeyPassed_IsTheAccounts()
    {
        await using var server = await TestServer.StartAsync();
        var account = await server.Client.PostAsync(
            "/v1/accounts", """{"name":"Customer","limits":{"requestsPerMinute":2,"monthlyRequestLimit":2}}""");
        using var first = server.ClientFor(account.Json.GetProperty("key").GetString());
        var made = await first.PostAsync(
            "/v1/api-keys", """{"name":"k","scopes":["chat"],"limits":{"requestsPerMinute":1}}""");
        using var second = server.ClientFor(made.Json.GetProperty("key").GetString());
        Assert.Equal(200, (await second.GetAsync(OwnAccount)).Status);

        Assert.Equal("The account's limit of requests a minute is reached.",
            MessageOf(await second.GetAsync(OwnAccount)));
        server.Time.Advance(TimeSpan.FromMinutes(1)); // Now the month of the account is passed, and no minute.
        Assert.Equal("The account's limit of requests a month is reached.",
            MessageOf(await second.GetAsync(OwnAccount)));
    }

    [Fact]
    public async Task Account_OfPlanFree_SharesTenRequestsAMinuteAmongItsKeys()
    {
        await using var server = await TestServer.StartAsync();
        var account = await server.Client.PostAsync("/v1/accounts", """{"name":"Customer"}""");
        using var first = server.ClientFor(account.Json.GetProperty("key").GetString());
        var made = await first.PostAsync("/v1/api-keys", """{"name":"second","scopes":["chat"]}""");
        using var second = server.ClientFor(made.Json.GetProperty("key").GetString());

        for (var i = 2; i <= 10; i++)
        {
            var answer = await second.GetAsync(OwnAccount);
            Assert.Equal((200, (10 - i).ToString(System.Globalization.CultureInfo.InvariantCulture)),
                (answer.Status, answer.Header("X-RateLimit-Remaining")));
        }

        Assert.Equal(429, (await first.GetAsync(OwnAccount)).Status);
        Assert.Equal(429, (await second.GetAsync(OwnAccount)).Status);
    }

    [Fact]
    public async Task Limit_Patched_HoldsAtTheNextRequest()
    {
        await using var server = await TestServer.StartAsync();
        var made = await server.Client.PostAsync("/v1/api-keys",
            """{"name":"k","scopes":["chat"],"limits":{"requestsPerMinute":1}}""");
        using var client = server.ClientFor(made.Json.GetProperty("key").GetString());
        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
        Assert.Equal(429, (await client.GetAsync(OwnAccount)).Status);

        var path = $"/v1/api-keys/{made.Json.GetProperty("id").GetString()}/limits";
        var patched = await server.Client.PatchAsync(path, """{"requestsPerMinute":null,"monthlyUsdLimit":0.5}""");
        Assert.Equal("""{"requestsPerMinute":null,"monthlyRequestLimit":null,"monthlyUsdLimit":0.5,"""
            + "\"monthlyTokenLimit\":null}", patched.Json.GetProperty("limits").GetRawText());
        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
    }

    [Fact]
    public async Task MonthlyRequests_Exhausted_Is429UntilTheNextMonthAndSurvivesARestart()
    {
        var server = await TestServer.StartAsync();
        var key = await server.NewKeyAsync("""
            "scopes":["chat"],"limits":{"monthlyRequestLimit":3}
            """);
        using (var client = server.ClientFor(key))
        {
            Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
            Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
        }

        var folder = await server.StopAsync();
        await using (server = await TestServer.StartAsync(folder: folder))
        {
            using var client = server.ClientFor(key);
            Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
            var refused = await client.GetAsync(OwnAccount);
            Assert.Equal((429, "limits.monthlyRequestLimit"), (refused.Status, refused.ErrorParam));
            Assert.Equal("The key's limit of requests a month is reached.", MessageOf(refused));
            Assert.Equal("917097", refused.Header("Retry-After")); // to 2026-12-01T00:00:00Z

            server.Time.SetUtcNow(new DateTimeOffset(2026, 12, 1, 0, 0, 0, TimeSpan.Zero));
            Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task MonthlyTokens_Exhausted_Is429AtOnce()
    {
        await using var server = await TestServer.StartAsync();
        var made = await server.Client.PostAsync("/v1/api-keys",
            """{"name":"k","scopes":["chat"],"limits":{"monthlyTokenLimit":100}}""");
        using var client = server.ClientFor(made.Json.GetProperty("key").GetString());
        var keyId = made.Json.GetProperty("id").GetString();
        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);

        await server.Database.WriteAsync(session => session.Execute(
            "INSERT INTO key_months (key_id, month, account_id, tokens) SELECT $1, '2026-11', id, 100 FROM accounts "
            + "WHERE true ON CONFLICT (key_id, month) DO UPDATE SET tokens = 100", keyId));

        var refused = await client.GetAsync(OwnAccount);
        Assert.Equal((429, "limits.monthlyTokenLimit"), (refused.Status, refused.ErrorParam));
        Assert.Equal("The key's limit of tokens a month is reached.", MessageOf(refused));
    }

    [Fact]
    public async Task MonthlyTokens_OfAKey_AreItsOwnOfThisMonth()
    {
        await using var server = await TestServer.StartAsync();
        var (first, second) = (await NewKeyAsync(server, ""), await NewKeyAsync(server, "\"monthlyTokenLimit\":100"));
        await UseAsync(server, first.Id, "2026-11", tokens: 100);
        await UseAsync(server, second.Id, "2026-10", tokens: 100);
        await UseAsync(server, second.Id, "2026-11", tokens: 99);
        using var client = server.ClientFor(second.Text);

        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
        await UseAsync(server, second.Id, "2026-11", tokens: 100);
        Assert.Equal(429, (await client.GetAsync(OwnAccount)).Status);
    }

    [Fact]
    public async Task MonthlyTokens_OfAnAccount_AreThoseOfAllItsKeysInThisMonth()
    {
        await using var server = await TestServer.StartAsync();
        var account = await server.Client.PostAsync("/v1/accounts", """{"name":"Customer"}""");
        using var customer = server.ClientFor(account.Json.GetProperty("key").GetString());
        var made = await customer.PostAsync("/v1/api-keys", """{"name":"k","scopes":["chat"]}""");
        var keyIds = (await customer.GetAsync("/v1/api-keys")).Json.GetProperty("data").EnumerateArray()
            .Select(static key => key.GetProperty("id").GetString()!).ToList();
        await UseAsync(server, keyIds[0], "2026-11", tokens: 60);
        await UseAsync(server, keyIds[1], "2026-11", tokens: 40);
        await UseAsync(server, keyIds[1], "2026-10", tokens: 1);
        await UseAsync(server, (await NewKeyAsync(server, "")).Id, "2026-11", tokens: 1); // of the first account
        using var client = server.ClientFor(made.Json.GetProperty("key").GetString());
        var path = $"/v1/accounts/{account.Json.GetProperty("id").GetString()}/limits";

        await server.Client.PatchAsync(path, """{"monthlyTokenLimit":101}""");
        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
        await server.Client.PatchAsync(path, """{"monthlyTokenLimit":100}""");
        Assert.Equal("The account's limit of tokens a month is reached.",
            MessageOf(await client.GetAsync(OwnAccount)));
    }

    [Fact]
    public async Task MonthlyRequests_AfterAStart_GoOnFromWhatWasWritten()
    {
        await using var server = await TestServer.StartAsync();
        var account = await server.Client.PostAsync(
            "/v1/accounts", """{"name":"Customer","limits":{"monthlyRequestLimit":10}}""");
        using var admin = server.ClientFor(account.Json.GetProperty("key").GetString());
        var accountId = account.Json.GetProperty("id").GetString();

        // Keys that were not used since the start, as they stand after it; the one of the first account comes first.
        await UseAsync(server, KeysOf(server, null)[0], "2026-11", requests: 5);
        var own = KeysOf(server, accountId)[0];
        await UseAsync(server, own, "2026-10", requests: 5);
        await UseAsync(server, own, "2026-11", requests: 7);

        var made = await admin.PostAsync("/v1/api-keys", """
            {"name":"k","scopes":["chat"],"limits":{"monthlyRequestLimit":4}}
            """);
        var id = made.Json.GetProperty("id").GetString()!;
        await UseAsync(server, id, "2026-10", requests: 5);
        await UseAsync(server, id, "2026-11", requests: 3);
        using var client = server.ClientFor(made.Json.GetProperty("key").GetString());

        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status); // the 9th of the account, the 4th of the key
        Assert.Equal("The key's limit of requests a month is reached.", MessageOf(await client.GetAsync(OwnAccount)));
        Assert.Equal("The account's limit of requests a month is reached.",
            MessageOf(await client.GetAsync(OwnAccount)));
    }

    [Fact]
    public async Task Use_OfAKey_IsWrittenDownOnceASecond()
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(await server.NewKeyAsync("""
            "scopes":["chat"]
            """));
        await client.GetAsync(OwnAccount);
        await client.GetAsync(OwnAccount);

        server.Time.Advance(TimeSpan.FromSeconds(1));

        await Eventually.TrueAsync(() => server.Database.Read(session => session.Exists(
            "SELECT 1 FROM api_keys JOIN key_months ON key_id = id WHERE requests = 2 AND last_used_at = $1",
            TestServer.StartTime.ToUnixTimeMilliseconds())));
    }

    [Fact]
    public async Task LastUse_OfEachKey_IsItsOwnAndOutlivesARestart()
    {
        var server = await TestServer.StartAsync();
        var (early, late) = (await NewKeyAsync(server, ""), await NewKeyAsync(server, ""));
        foreach (var key in new[] { early, late })
        {
            server.Time.Advance(TimeSpan.FromMilliseconds(100));
            using var client = server.ClientFor(key.Text);
            Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
        }

        var folder = await server.StopAsync();
        await using (server = await TestServer.StartAsync(folder: folder))
        {
            var uses = (await server.Client.GetAsync("/v1/api-keys")).Json.GetProperty("data").EnumerateArray()
                .ToDictionary(static key => key.GetProperty("id").GetString()!,
                    static key => key.GetProperty("last_used_at").GetString());
            Assert.Equal("2026-11-20T09:15:03.630Z", uses[early.Id]);
            Assert.Equal("2026-11-20T09:15:03.730Z", uses[late.Id]);
        }

        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData(0, 60)]
    [InlineData(1, 59)]
    [InlineData(59, 1)]
    [InlineData(60, 60)]
    public void SecondsToReset_OfAMoment_EndsTheUnixMinute(long unixSeconds, int seconds) =>
        Assert.Equal(seconds, RateLimit.SecondsToReset(unixSeconds));

    private static string? MessageOf(TestAnswer answer) =>
        answer.Json.GetProperty("error").GetProperty("message").GetString();

    private static async Task<(string Id, string Text)> NewKeyAsync(TestServer server, string limits)
    {
        var made = await server.Client.PostAsync(
            "/v1/api-keys", $$$"""{"name":"k","scopes":["chat"],"limits":{{{{limits}}}}}""");
        return (made.Json.GetProperty("id").GetString()!, made.Json.GetProperty("key").GetString()!);
    }

    /// <summary>Keys of an account, or of the first one; the oldest first.</summary>
    private static List<string> KeysOf(TestServer server, string? accountId) => server.Database.Read(session =>
        session.List("SELECT id FROM api_keys WHERE account_id = coalesce($1, (SELECT id FROM accounts "
            + "ORDER BY id LIMIT 1)) ORDER BY id", static row => row.GetString(0), accountId));

    /// <summary>Writes down what a key used in a month.</summary>
    private static Task<int> UseAsync(
        TestServer server, string keyId, string month, long requests = 0, long tokens = 0) =>
        server.Database.WriteAsync(session => session.Execute(
            "INSERT INTO key_months (key_id, month, account_id, requests, tokens) SELECT id, $2, account_id, $3, $4 "
            + "FROM api_keys WHERE id = $1 ON CONFLICT (key_id, month) DO UPDATE SET tokens = excluded.tokens",
            keyId, month, requests, tokens));
}
