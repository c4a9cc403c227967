using System.Collections.Concurrent;
using System.Text;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// Spellings of a path, a method or a header that let callers in elsewhere. Nobody without a key gets what needs one,
/// and with a key a spelling is the plain thing or nothing.
/// </summary>
internal static class PathTricks
{
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(10);

    private static readonly string[] Spellings =
    [
        "{0}", "/{0}", "//{0}", "{0}/", "{0}//", "/.{0}", "/./{0}", "/health/live/..{0}", "/health/..{0}",
        "/health/live/../..{0}",
        "/health/live%2f..%2f..{0}", "/health/live/%2e%2e/%2e%2e{0}", "/health/%2E%2E{0}", "/%2e%2e{0}", "/..;{0}",
        "/health/live;{0}", "/health/live;/..{0}", "{0};", "{0};a=b", "{0}.json", "{0}%20", "{0}%00", "{0}%00.html",
        "{0}%0a", "{0}%0d%0a", "{0}%2f", "{0}/%2e", "{0}/.", "{0}/..", "{0}%3f", "{0}?", "{0}?access_token={1}",
        "{0}?api_key={1}", "{0}?Authorization=Bearer%20{1}", "{0}#", "{0}%23", "{0}\\", "/\\{0}", "\\{0}", "{0}%5c",
        "{0}%252f", "/%252e%252e{0}", "/health/live%00{0}", "/version%0a{0}", "/v1{0}", "/api{0}", "/public{0}",
        "http://localhost{0}", "http://localhost:80{0}", "HTTP://LOCALHOST{0}", "http://user@localhost{0}",
        "/%C0%AE%C0%AE{0}", "/%C0%AF{0}", "/%u002e{0}", "/%EF%BC%8F{0}", "/\xFF{0}",
        "/health/live?{0}", "/openapi.json/..{0}",
    ];

    private static readonly string[] Methods =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND", "GETX", "DEBUG"];

    private static readonly string[] Headers =
    [
        "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: admin", "X-Forwarded-Proto: https",
        "X-Forwarded-Prefix: /health",
        "X-Original-URL: /health/live", "X-Rewrite-URL: /health/live", "Forwarded: for=127.0.0.1;host=admin",
        "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE", "X-Real-IP: 127.0.0.1",
        "X-Client-IP: 127.0.0.1", "X-Custom-IP-Authorization: 127.0.0.1", "Proxy-Authorization: Bearer {1}",
        "Cookie: authorization=Bearer {1}; key={1}", "X-Api-Key: {1}", "X-Authorization: Bearer {1}",
        "Authorization: {1}", "Authorization: Basic {1}", "Authorization: Bearer", "Authorization: Bearer {1}x",
        "Authorization: Bearer null", "Authorization: Bearer *", "Authorization: Bearer {1},{1}",
        "Authorization: Bearer a\r\nAuthorization: Bearer {1}", "Authorization: Bearer {1}\r\nAuthorization: Bearer a",
        "Authorization: Bearer mesh_live_' OR 1=1 --", "Remote-User: admin", "X-Remote-User: admin", "X-User-Id: 1",
        "X-Account-Id: acc_1", "Origin: http://localhost", "Referer: http://localhost/", "X-Remote-Addr: 127.0.0.1",
    ];

    private static readonly string[] Hosts =
        ["localhost", "admin", "127.0.0.1", "[::1]", "elsewhere:1", "xn--a", "health", "169.254.169.254"];

    /// <summary>Answers how many requests that were.</summary>
    internal static async Task<int> RunAsync(Uri url, string agentId, ConcurrentQueue<string> problems)
    {
        var tricks = new List<(string Text, bool HasKey)>();
        foreach (var path in (string[])[$"/v1/agents/{agentId}", "/v1/accounts/me", "/api/tasks"])
        {
            tricks.AddRange(Spellings
                .Select(spelling => (Request("GET", Fill(spelling, path), "localhost", ""), false)));
            tricks.AddRange(Methods.Select(method => (Request(method, path, "localhost", ""), false)));
            tricks.AddRange(Headers.Select(header => (Request("GET", path, "localhost", Fill(header, path)), false)));
            tricks.AddRange(Hosts.Select(host => (Request("GET", path, host, ""), false)));
        }

        var own = $"/v1/agents/{agentId}";
        const string Key = $"Authorization: Bearer {TestServer.AdminKey}";
        tricks.AddRange(Spellings
            .Where(static spelling => !spelling.StartsWith("/health/live?", StringComparison.Ordinal))
            .Select(spelling => (Request("GET", Fill(spelling, own), "localhost", Key), true)));
        tricks.AddRange(Hosts.Select(host => (Request("GET", own, host, Key), true)));
        tricks.AddRange(Headers.Where(static header => !header.StartsWith("Authorization", StringComparison.Ordinal))
            .Select(header => (Request("GET", own, "localhost", $"{Key}\r\n{Fill(header, own)}"), true)));
        await Crowd.EachAsync(tricks, 8, async trick =>
        {
            if (await ComplainAsync(url, trick.Text, trick.HasKey ? agentId : null) is { } complaint)
            {
                problems.Enqueue($"{trick.Text.Split("\r\n\r\n")[0].Replace("\r\n", " | ", StringComparison.Ordinal)}: "
                    + complaint);
            }
        });
        return tricks.Count;
    }

    /// <param name="url">The server.</param>
    /// <param name="request">The request with the trick.</param>
    /// <param name="due">What a 200 must show; null: only what is public.</param>
    private static async Task<string?> ComplainAsync(Uri url, string request, string? due)
    {
        var isHead = request.StartsWith("HEAD", StringComparison.Ordinal);
        RawExchange exchange;
        try
        {
            exchange = await RawExchange.SendAsync(url, Encoding.Latin1.GetBytes(request), AnswerMax, isHead ? 1 : 2);
        }
        catch (IOException error)
        {
            return isHead ? null : error.Message; // The answer to a HEAD has a length and no body.
        }

        var answer = exchange.Answers.Count == 1 ? exchange.Answers[0] : null;
        return answer switch
        {
            null => $"expected one answer, got {exchange.Shown}",
            { Status: 200 } => answer.Text == "{\"status\":\"live\"}"
                || (due is not null && answer.Text.Contains($"\"id\":\"{due}\"", StringComparison.Ordinal))
                ? null
                : $"it was let in: {exchange.Shown}",
            { Status: 400 or 401 or 404 or 405 or 501 } => null,
            _ => $"unexpected: {exchange.Shown}",
        };
    }

    private static string Fill(string text, string path) => text
        .Replace("{0}", path, StringComparison.Ordinal)
        .Replace("{1}", TestServer.AdminKey, StringComparison.Ordinal);

    private static string Request(string method, string path, string host, string header) =>
        $"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        + (header.Length == 0 ? "\r\n" : header + "\r\n\r\n");
}
