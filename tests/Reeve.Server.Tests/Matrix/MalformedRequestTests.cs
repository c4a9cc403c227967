using Reeve.Server.Runs;

namespace Reeve.Server.Tests.Matrix;

/// <summary>Queries and request lines that are wrong in every way.</summary>
public sealed class MalformedRequestTests
{
    private const string Body = "06F7557C5CM18FNXB2V5D4V72R";

    /// <summary>
    /// Routes that look at no query; the lists and the runs, and all of Auteryn, refuse what they do not know.
    /// </summary>
    private static readonly string[] IgnoreTheQuery =
    [
        "DELETE /v1/agents/{id}", "DELETE /v1/api-keys/{id}", "DELETE /v1/conversations/{id}",
        "DELETE /v1/documents/{id}", "GET /v1/accounts/me", "GET /v1/accounts/{id}", "GET /v1/agents/{id}",
        "GET /v1/agents/{id}/versions/{number}", "GET /v1/conversations/{id}", "GET /v1/documents/{id}",
        "GET /v1/receipts/{id}", "PATCH /v1/accounts/{id}", "PATCH /v1/accounts/{id}/limits", "PATCH /v1/agents/{id}",
        "PATCH /v1/api-keys/{id}/limits", "PATCH /v1/conversations/{id}", "PATCH /v1/documents/{id}",
        "POST /v1/accounts", "POST /v1/agents", "POST /v1/agents/{id}/documents", "POST /v1/agents/{id}/search",
        "POST /v1/api-keys", "POST /v1/conversations", "POST /v1/conversations/{id}/fork",
        "POST /v1/documents/{id}/retry", "PUT /v1/documents/{id}",
    ];

    private static readonly string[] Values =
    [
        "", "-1", "0", "1.5", "abc", "99999999999999999999", "9007199254740993", "%00", "%FF", "%zz", "%", "%ED%A0%80",
        "%0d%0aX-Evil:1", "'%20OR%201=1--", "2026-13-45", "0001-01-01", "9999-12-31T23:59:59.9999999Z", "null", "[]",
        "%F0%9F%98%80", "1e5", "+1", "%201", "0x10", "TRUE",
    ];

    [Fact]
    public async Task Query_OfAnyKind_IsReadOrRefused()
    {
        await using var server = await TestServer.StartAsync();
        var before = TenantWorld.RowCounts(server);
        var wrong = new List<string>();
        var ignoring = new List<string>();
        var probes = 0;
        foreach (var route in ApiRoute.Of(server))
        {
            if (!IsUnknown(await AskAsync(server, route, "?certainly_unknown=1")))
            {
                ignoring.Add(route.Name);
                continue;
            }

            foreach (var name in ApiNames.Query)
            {
                var isKnown = !IsUnknown(await AskAsync(server, route, $"?{name}=%20"));
                foreach (var query in isKnown
                    ? [.. Values.Select(value => $"{name}={value}"), name, $"{name}={new string('1', 5_000)}"]
                    : new[] { $"{name}=1" })
                {
                    probes++;
                    var answer = await AskAsync(server, route, "?" + query);
                    if (answer.Status >= 500 || (!isKnown && !IsUnknown(answer))
                        || (answer.Status == 400 && answer.ErrorParam is null))
                    {
                        wrong.Add($"{route.Name}?{query} answers {answer.Status}: {answer.Text}");
                    }
                }

                foreach (var query in isKnown ? new[] { $"{name}=", $"{name}=1&{name}=1", $"{name}&{name}" } : [])
                {
                    if (await AskAsync(server, route, "?" + query) is not { Status: 400 } answer
                        || answer.ErrorParam != name)
                    {
                        wrong.Add($"{route.Name}?{query} is not refused");
                    }
                }
            }

            foreach (var query in new[] { "?LIMIT=1", "?=1", "?%00=1", "?a%FF=1", "?stream%20=1" })
            {
                if (!IsUnknown(await AskAsync(server, route, query)))
                {
                    wrong.Add($"{route.Name}{query} is not refused");
                }
            }
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} of {probes}:\n{string.Join('\n', wrong.Take(30))}");
        Assert.Equal(string.Join('\n', IgnoreTheQuery), string.Join('\n', ignoring));
        Assert.Equal(before, TenantWorld.RowCounts(server));
        Assert.Empty(server.Database.Read(new Verifier().Check));
    }

    [Fact]
    public async Task Path_WithAnyText_IsAnIdThatDoesNotExist()
    {
        await using var server = await TestServer.StartAsync();
        var before = TenantWorld.RowCounts(server);
        var wrong = new List<string>();
        foreach (var route in ApiRoute.Of(server).Where(route => route.Parameters.Count > 0))
        {
            foreach (var text in new[]
            {
                "x", "%20", "%00", "%FF", "%2e%2e", "%2F", "%5C", "%3B", "agt_", $"zzz_{Body}", $"agt_{Body}x",
                    $"agt_{Body[..25]}I",
                "%ED%A0%80", "%F0%9F%98%80", new string('a', 3_000), "'--", "me", "-1", "null", "@1", "demo@",
                    "demo@0", "demo@99999999999",
            })
            {
                var path = string.Join('/', route.Path.Split('/')
                    .Select(segment => segment.StartsWith('{') ? text : segment));
                var body = ApiBodies.Of(route, kind => $"agt_{Body}");
                var answer = await server.Client.SendAsync(route.Method, path, body, ("X-Agent-Id", "demo"));
                if (answer.Status is not (404 or 400) && !(path == "/v1/accounts/me" && answer.Status is 200 or 405))
                {
                    wrong.Add($"{route.Method} {path} answers {answer.Status}: {answer.Text}");
                }
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(30)));
        Assert.Equal(before, TenantWorld.RowCounts(server));
    }

    [Fact]
    public async Task Key_SentTwice_IsRefusedEverywhere()
    {
        await using var server = await TestServer.StartAsync();
        foreach (var route in ApiRoute.Of(server))
        {
            var path = route.Fill(_ => $"agt_{Body}");
            foreach (var second in new[] { TestServer.AdminKey, "x", "" })
            {
                var answer = await server.SendRawAsync(
                    $"{route.Method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n"
                    + $"Authorization: Bearer {TestServer.AdminKey}\r\nAuthorization: Bearer {second}\r\n\r\n");
                Assert.StartsWith("HTTP/1.1 401 ", answer, StringComparison.Ordinal);
                Assert.Contains("WWW-Authenticate: Bearer\r\n", answer, StringComparison.Ordinal);
            }

            var joined = await server.SendRawAsync(
                $"{route.Method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n"
                + $"Authorization: Bearer {TestServer.AdminKey}, Bearer {TestServer.AdminKey}\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 401 ", joined, StringComparison.Ordinal);
        }
    }

    /// <summary>
    /// Spellings that another server might read as a public path, or as another one: none gets past the key.
    /// </summary>
    [Theory]
    [InlineData("//v1/agents")]
    [InlineData("/v1//agents")]
    [InlineData("/health/live/../../v1/agents")]
    [InlineData("/health/live/%2e%2e/%2e%2e/v1/agents")]
    [InlineData("/health/%2e%2e/v1/agents")]
    [InlineData("/%2e/v1/agents")]
    [InlineData("/v1/agents;x=1")]
    [InlineData("/v1/agents%3Bx")]
    [InlineData("/v1%2Fagents")]
    [InlineData("/v1/agents%00")]
    [InlineData("/v1/agents%2e")]
    [InlineData("/V1/agents")]
    [InlineData("/v1\\agents")]
    [InlineData("/v1/agents#x")]
    [InlineData("/v1/agents/?x")]
    [InlineData("http://127.0.0.1/v1/agents")]
    [InlineData("http://evil.example/v1/agents")]
    [InlineData("http://evil.example/health/live/../../v1/agents")]
    [InlineData("*")]
    [InlineData("/health/live;/v1/agents")]
    [InlineData("/health/livex")]
    [InlineData("/HEALTH/LIVE")]
    public async Task Target_OfAnyForm_WithoutAKey_GetsNothing(string target)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.SendRawAsync($"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

        Assert.Matches(@"\AHTTP/1\.1 (400|401|404|405) ", answer);
        Assert.DoesNotContain("\"data\"", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", 400)]
    [InlineData("Host: a\r\nHost: b\r\n", 400)]
    [InlineData("Host: a b\r\n", 400)]
    [InlineData("Host: a/b\r\n", 400)]
    [InlineData("Host: a@b\r\n", 400)]
    [InlineData("Host: evil.example\r\nX-Forwarded-For: 127.0.0.1\r\nX-Original-URL: /health/live\r\n", 401)]
    [InlineData("Host: \r\nX-HTTP-Method-Override: GET\r\n", 401)]
    [InlineData("Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400)]
    [InlineData("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400)]
    [InlineData("Host: a\r\nTransfer-Encoding: gzip\r\n", 400)]
    [InlineData("Host: a\r\n folded: x\r\n", 400)]
    [InlineData("Host: a\r\nBad Name: x\r\n", 400)]
    [InlineData("Host: a\r\nX: \0\r\n", 400)]
    public async Task Head_OfAnyForm_WithoutAKey_GetsNothing(string head, int status)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.SendRawAsync($"GET /v1/agents HTTP/1.1\r\n{head}Connection: close\r\n\r\n");

        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
    }

    private static bool IsUnknown(TestAnswer answer) => answer is { Status: 400, ErrorCode: "invalid_request" }
        && answer.Text.Contains("is not a known query parameter", StringComparison.Ordinal);

    private static Task<TestAnswer> AskAsync(TestServer server, ApiRoute route, string query)
    {
        var path = route.Fill(parameter => parameter == "number" ? "1" : $"zzz_{Body}");
        var body = route.TakesABody ? "{\"surely_unknown\":1}" : null;
        var task = route.Name == "GET /api/messages" && !query.Contains("task_id", StringComparison.Ordinal)
            ? $"&task_id=task_{Body}"
            : "";
        return server.Client.SendAsync(route.Method, path + query + task, body, ("X-Agent-Id", "demo"));
    }
}
