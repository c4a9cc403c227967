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
    public async Task Account_OfPlanFree_SharesTenRequestsAMinuteAmongItsKeys()
    {
        await using var server = await TestServer.StartAsync();
        var account = await server.Client.PostAsync("/v1/accounts", """{"name":"Customer"}""");
        using var first = server.ClientFor(account.Json.GetProperty("key").GetString());
        var made = await first.PostAsync("/v1/api-keys", """{"name":"second","scopes":["chat"]}""");
        using var second = server.ClientFor(made.Json.GetProperty("key").GetString());

        for (var i = 2; i <= 10; i++)
        {
            Assert.Equal((10 - i).ToString(System.Globalization.CultureInfo.InvariantCulture),
                (await second.GetAsync(OwnAccount)).Header("X-RateLimit-Remaining"));
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
        await client.GetAsync(OwnAccount);
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

    [Theory]
    [InlineData(0, 60)]
    [InlineData(1, 59)]
    [InlineData(59, 1)]
    [InlineData(60, 60)]
    public void SecondsToReset_OfAMoment_EndsTheUnixMinute(long unixSeconds, int seconds) =>
        Assert.Equal(seconds, RateLimit.SecondsToReset(unixSeconds));
}
