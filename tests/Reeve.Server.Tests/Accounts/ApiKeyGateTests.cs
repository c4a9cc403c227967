using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Reeve.Server.Accounts;
using Reeve.Server.Http;
using SQLitePCL;

namespace Reeve.Server.Tests.Accounts;

public sealed class ApiKeyGateTests
{
    private const string OwnAccount = "/v1/accounts/me";

    [Theory]
    [InlineData(null)]
    [InlineData("Bearer")]
    [InlineData("Bearer ")]
    [InlineData("Basic bWVzaA==")]
    [InlineData("Bearer mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52J")] // wrong checksum
    [InlineData("Bearer MESH_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52I")]
    [InlineData("Bearer mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52I x")]
    [InlineData("Bearer mesh_live_' OR 1=1 --")]
    [InlineData("Bearer mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52IzR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52I")]
    [InlineData("mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52I")]
    public async Task Key_MissingOrMalformed_Is401OfOneShape(string? header)
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(null);

        var answer = await client.SendAsync("GET", OwnAccount, null, header is null ? [] : [("Authorization", header)]);

        AssertUnauthorized(answer);
    }

    [Fact]
    public async Task Key_WellFormedButUnknown_Is401()
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(ApiKeyText.Make("mesh_live"));

        AssertUnauthorized(await client.GetAsync(OwnAccount));
    }

    [Fact]
    public async Task Key_InTwoHeaders_Is401()
    {
        await using var server = await TestServer.StartAsync();
        var header = $"Authorization: Bearer {TestServer.AdminKey}\r\n";

        var once = await server.SendRawAsync(
            $"GET {OwnAccount} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n");
        var twice = await server.SendRawAsync(
            $"GET {OwnAccount} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}{header}\r\n");

        Assert.StartsWith("HTTP/1.1 200 ", once, StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 401 ", twice, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bearer")]
    [InlineData("BEARER")]
    public async Task Scheme_InAnyLetterCase_IsRead(string scheme)
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(null);

        var answer = await client.SendAsync(
            "GET", OwnAccount, null, ("Authorization", $"{scheme} {TestServer.AdminKey}"));

        Assert.Equal(200, answer.Status);
    }

    [Fact]
    public async Task Key_Elsewhere_IsNotRead()
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(null);

        AssertUnauthorized(await client.SendAsync("GET", $"{OwnAccount}?key={TestServer.AdminKey}", null,
            ("x-api-key", TestServer.AdminKey), ("Cookie", $"key={TestServer.AdminKey}")));
    }

    [Fact]
    public async Task Key_Expired_Is401FromThatMomentOn()
    {
        await using var server = await TestServer.StartAsync();
        var key = await server.NewKeyAsync("""
            "scopes":["chat"],"expires_at":"2026-11-20T09:15:13.530Z"
            """);
        using var client = server.ClientFor(key);

        server.Time.Advance(TimeSpan.FromSeconds(9.999));
        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
        server.Time.Advance(TimeSpan.FromMilliseconds(1));
        AssertUnauthorized(await client.GetAsync(OwnAccount));
    }

    [Fact]
    public async Task Key_Revoked_Is401AtTheNextRequestAndEndsItsStreams()
    {
        Caller? caller = null;
        await using var server = await TestServer.StartAsync(map: app =>
            app.MapGet("/test", context =>
            {
                caller = context.Caller();
                return Task.CompletedTask;
            }).AnyKey());
        var made = await server.Client.PostAsync("/v1/api-keys", """{"name":"short","scopes":["chat"]}""");
        using var client = server.ClientFor(made.Json.GetProperty("key").GetString());
        Assert.Equal(200, (await client.GetAsync("/test")).Status);
        Assert.False(caller!.Revoked.IsCancellationRequested);

        var path = $"/v1/api-keys/{made.Json.GetProperty("id").GetString()}";
        Assert.Equal(204, (await server.Client.DeleteAsync(path)).Status);

        AssertUnauthorized(await client.GetAsync("/test")); // The clock stood still: nothing expired by itself.
        Assert.True(caller.Revoked.IsCancellationRequested);
        Assert.Equal(204, (await server.Client.DeleteAsync(path)).Status);
    }

    [Fact]
    public async Task Account_SuspendedThenClosed_KeepsOnlyItsOwnViewThenNothing()
    {
        await using var server = await TestServer.StartAsync();
        var made = await server.Client.PostAsync("/v1/accounts", """{"name":"Customer"}""");
        var path = $"/v1/accounts/{made.Json.GetProperty("id").GetString()}";
        using var client = server.ClientFor(made.Json.GetProperty("key").GetString());
        Assert.Equal(200, (await client.GetAsync("/v1/api-keys")).Status);

        await server.Client.PatchAsync(path, """{"status":"suspended"}""");
        var refused = await client.GetAsync("/v1/api-keys");
        Assert.Equal((403, "forbidden"), (refused.Status, refused.ErrorCode));
        Assert.NotNull(refused.Header("X-RateLimit-Remaining"));
        var own = await client.GetAsync(OwnAccount);
        Assert.Equal((200, "suspended"), (own.Status, own.Json.GetProperty("status").GetString()));

        await server.Client.PatchAsync(path, """{"status":"closed"}""");
        AssertUnauthorized(await client.GetAsync(OwnAccount));

        await server.Client.PatchAsync(path, """{"status":null}""");
        Assert.Equal(200, (await client.GetAsync("/v1/api-keys")).Status);
    }

    [Theory]
    [InlineData("chat", 403)]
    [InlineData("usage", 403)]
    [InlineData("keys", 200)]
    [InlineData("admin", 200)]
    public async Task Scope_Missing_Is403NamingIt(string scope, int status)
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(await server.NewKeyAsync($"\"scopes\":[\"{scope}\"]"));

        var answer = await client.GetAsync("/v1/api-keys");

        Assert.Equal(status, answer.Status);
        Assert.Equal(status == 403 ? "keys" : null, answer.ErrorParam);
    }

    [Fact]
    public async Task Rule_Missing_AnswersNobody()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGet("/test", () => "open"));
        using var nobody = server.ClientFor(null);

        Assert.Equal(403, (await server.Client.GetAsync("/test")).Status);
        AssertUnauthorized(await nobody.GetAsync("/test"));
    }

    [Fact]
    public async Task WidgetKey_WorksOnWidgetRoutesAlone()
    {
        await using var server = await TestServer.StartAsync(map: app =>
            app.MapPost("/test", context => context.Response.WriteAsync("widget")).WidgetKey());
        const string Agent = "agt_06F7557C5CM18FNXB2V5D4V72R";
        await server.Database.WriteAsync(session => session.Execute(
            "INSERT INTO agents (id, account_id, slug, version, created_at, updated_at) "
            + "SELECT $1, id, 'a', 1, 0, 0 FROM accounts", Agent));
        using var widget = server.ClientFor(await server.NewKeyAsync($$"""
            "scopes":["admin"],"kind":"afk_widget","agent_id":"{{Agent}}","allowed_origins":["https://*.example.com"]
            """));

        Assert.Equal(200, (await widget.PostAsync("/test", "{}")).Status);
        AssertForbidden("Only a widget key works here.", await server.Client.PostAsync("/test", "{}"));
        AssertForbidden(
            "A widget key works on the widget's endpoint alone.", await widget.GetAsync("/v1/api-keys"));
        AssertForbidden("A widget key works on the widget's endpoint alone.", await widget.GetAsync(OwnAccount));
    }

    [Fact]
    public async Task Database_ThatDoesNotKeepUp_IsToldToWhateverWrites()
    {
        using var entered = new SemaphoreSlim(0);
        using var leave = new ManualResetEventSlim();
        await using var server = await TestServer.StartAsync();
        raw.sqlite3_commit_hook(server.Database.Setup.Connection.Handle!, _ =>
        {
            entered.Release();
            return leave.Wait(TestServer.Timeout) ? 0 : 1;
        }, null!);
        var write = server.Database.ProbeAsync();
        try
        {
            Assert.True(await entered.WaitAsync(TestServer.Timeout, TestContext.Current.CancellationToken));
            Assert.Equal(400, (await server.Client.PostAsync("/v1/api-keys", "{}")).Status);
            server.Time.Advance(TimeSpan.FromSeconds(2));

            var refused = await server.Client.PostAsync("/v1/api-keys", "{}");
            Assert.Equal((503, "unavailable"), (refused.Status, refused.ErrorCode));
            Assert.Equal("2", refused.Header("Retry-After"));
            Assert.Equal(503, (await server.Client.DeleteAsync("/v1/api-keys/key_1")).Status);
            Assert.Equal(200, (await server.Client.GetAsync("/v1/api-keys")).Status);
        }
        finally
        {
            leave.Set();
        }

        await write;

        // What waited behind that write is written now, the records of these requests among it.
        await Eventually.TrueAsync(async () => (await server.Client.PostAsync("/v1/api-keys", "{}")).Status == 400);
    }

    [Theory]
    [InlineData("/", 404)]
    [InlineData("/v1/nothing", 404)]
    [InlineData("/V1/accounts/me", 404)]
    [InlineData("/v1/Accounts/me", 404)]
    [InlineData("/v1/accounts/ME", 404)] // not the literal `me` but an id that cannot be
    [InlineData("/v1/accounts/me/", 200)]
    [InlineData("/v1/accounts/me//", 404)]
    [InlineData("//v1/accounts/me", 404)]
    [InlineData("/v1//accounts/me", 404)]
    [InlineData("/v1/accounts/%6De", 200)] // the same path, spelled otherwise: the same answer
    [InlineData("/v1/%2e/accounts/me", 200)]
    [InlineData("/v1/agents/%2e%2e/accounts/me", 200)]
    [InlineData("/v1/accounts%2Fme", 404)]
    [InlineData("/v1/accounts/me;x=1", 404)]
    public async Task Path_InOddSpellings_GetsTheAnswerOfThePathItIs(string path, int status)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await RawAsync(server, "GET", path, TestServer.AdminKey);

        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        if (status == 200)
        {
            Assert.StartsWith("HTTP/1.1 401 ", await RawAsync(server, "GET", path, null), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("PUT", "/v1/accounts/me", 405)]
    [InlineData("PUT", "/v1/accounts/me/", 405)]
    [InlineData("PUT", "/v1/ACCOUNTS/me", 404)]
    [InlineData("HEAD", "/v1/accounts/me", 405)]
    [InlineData("OPTIONS", "/v1/nothing", 404)]
    public async Task Method_Wrong_IsToldBeforeTheKeyIsLookedAt(string method, string path, int status)
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(null);

        var answer = await client.SendAsync(method, path, null);

        Assert.Equal(status, answer.Status);
        Assert.Equal(status == 405 ? "GET,PATCH" : null, answer.Header("Allow"));
        Assert.NotNull(answer.Header("x-request-id"));
        if (method != "HEAD")
        {
            Assert.Equal(status == 405 ? "method_not_allowed" : "not_found", answer.ErrorCode);
        }
    }

    [Theory]
    [InlineData("GET", "Runs are started by POST.")]
    [InlineData("DELETE", "Runs are started by POST.")]
    [InlineData("OPTIONS", "This path answers POST only.")]
    public async Task Method_ThatARouteRefuses_IsToldWithASentenceThatHelps(string method, string sentence)
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(null);

        var answer = await client.SendAsync(method, "/v1/agents/runs", null);

        Assert.Equal((405, "method_not_allowed", "POST"), (answer.Status, answer.ErrorCode, answer.Header("Allow")));
        Assert.Equal(sentence, answer.Json.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task Refusal_OfTheLegacyPath_TellsOfItsEndToo()
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(null);

        var answer = await client.PostAsync("/v1/agents/desk/chat", "{}");

        AssertUnauthorized(answer);
        Assert.Equal("true", answer.Header("Deprecation"));
        Assert.Equal("Wed, 30 Jun 2027 00:00:00 GMT", answer.Header("Sunset"));
    }

    [Theory]
    [InlineData("X-HTTP-Method-Override: DELETE")]
    [InlineData("X-Forwarded-Prefix: /health")]
    [InlineData("X-Original-URL: /health/live")]
    public async Task Request_WithOverridingHeaders_IsJudgedByItsOwnPathAndMethod(string header)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.SendRawAsync(
            $"GET {OwnAccount} HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n{header}\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 401 ", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    [InlineData("/version")]
    [InlineData("/metrics")]
    public async Task PublicEndpoint_WithoutKey_Answers(string path)
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.ClientFor(null);

        var answer = await client.GetAsync(path);

        Assert.Equal(200, answer.Status);
        Assert.Null(answer.Header("Server"));
    }

    private static Task<string> RawAsync(TestServer server, string method, string path, string? key)
    {
        var authorization = key is null ? "" : $"Authorization: Bearer {key}\r\n";
        return server.SendRawAsync($"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\r\n");
    }

    private static void AssertForbidden(string sentence, TestAnswer answer)
    {
        Assert.Equal((403, "forbidden"), (answer.Status, answer.ErrorCode));
        Assert.Equal(sentence, answer.Json.GetProperty("error").GetProperty("message").GetString());
    }

    private static void AssertUnauthorized(TestAnswer answer)
    {
        Assert.Equal(401, answer.Status);
        Assert.Equal("Bearer", answer.Header("WWW-Authenticate"));
        Assert.Null(answer.Header("X-RateLimit-Limit"));
        Assert.Equal("""{"error":{"code":"unauthorized","message":"Invalid or missing API key","""
            + $"\"type\":\"unauthorized\",\"param\":null,\"request_id\":\"{answer.Header("x-request-id")}\"}}}}",
            answer.Text);
    }
}
