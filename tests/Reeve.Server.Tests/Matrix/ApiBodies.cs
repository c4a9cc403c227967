namespace Reeve.Server.Tests.Matrix;

/// <summary>
/// One good body for each route that takes one; <c>{agent}</c> and the like are the caller's own ids.
/// </summary>
internal static class ApiBodies
{
    /// <summary>Routes whose method could carry a body, and that read none.</summary>
    internal static readonly IReadOnlySet<string> NotRead = new HashSet<string>(StringComparer.Ordinal)
    {
        "POST /v1/documents/{id}/retry",
    };

    /// <summary>Routes that read no body as <c>{}</c>.</summary>
    internal static readonly IReadOnlySet<string> Optional = new HashSet<string>(StringComparer.Ordinal)
    {
        "POST /v1/conversations/{id}/fork",
        "POST /v1/runs/{runId}/cancel",
        "POST /v1/webhooks/{id}/rotate",
        "POST /v1/webhooks/{id}/test",
    };

    /// <summary>Routes that pass over members which they do not know, as OpenAI's do.</summary>
    internal static readonly IReadOnlySet<string> Open = new HashSet<string>(StringComparer.Ordinal)
    {
        "POST /v1/chat/completions",
        "POST /v1/embeddings",
    };

    private static readonly Dictionary<string, string> Good = new(StringComparer.Ordinal)
    {
        ["POST /v1/accounts"] = """{"name":"Made"}""",
        ["PATCH /v1/accounts/{id}"] = """{"name":"Changed"}""",
        ["PATCH /v1/accounts/{id}/limits"] = """{"requestsPerMinute":50000}""",
        ["POST /v1/accounts/{id}/credits"] = """{"amount_usd":1}""",
        ["POST /v1/api-keys"] = """{"name":"Made","scopes":["chat"]}""",
        ["PATCH /v1/api-keys/{id}/limits"] = """{"monthlyRequestLimit":500000}""",
        ["POST /v1/agents"] = """{"name":"Made"}""",
        ["PATCH /v1/agents/{id}"] = """{"description":"Changed"}""",
        ["POST /v1/agents/runs"] = """{"agent":"{agent}","input":"Hi"}""",
        ["POST /v1/agents/{agentId}/chat"] = """{"input":"Hi"}""",
        ["POST /v1/agents/{id}/documents"] = """{"name":"Made","text":"A line."}""",
        ["POST /v1/agents/{id}/search"] = """{"query":"canary"}""",
        ["PATCH /v1/documents/{id}"] = """{"name":"Changed"}""",
        ["PUT /v1/documents/{id}"] = """{"name":"Other.md","text":"Other words."}""",
        ["POST /v1/conversations"] = """{"agent":"{agent}"}""",
        ["PATCH /v1/conversations/{id}"] = """{"title":"Changed"}""",
        ["POST /v1/conversations/{id}/fork"] = "{}",
        ["POST /v1/runs/{runId}/cancel"] = "{}",
        ["POST /v1/receipts/verify"] = """{"receipt":{}}""",
        ["POST /v1/attestation/verify"] = """{"document":{}}""",
        ["PATCH /v1/providers/config/{provider}"] = """{"priority":5}""",
        ["POST /v1/chat/completions"] =
            """{"model":"mesh/house-1","messages":[{"role":"user","content":"Hi"}]}""",
        ["POST /v1/embeddings"] = """{"model":"mesh/house-e","input":"Hi"}""",
        ["POST /v1/webhooks"] = """{"url":"https://hooks.example/","events":["run.completed"]}""",
        ["PATCH /v1/webhooks/{id}"] = """{"description":"Changed"}""",
        ["POST /v1/webhooks/{id}/rotate"] = "{}",
        ["POST /v1/webhooks/{id}/test"] = "{}",
        ["POST /api/run"] = """{"query":"Hi","stream":false}""",
    };

    /// <summary>The routes that take a body; one that is missing above fails here.</summary>
    internal static IReadOnlyList<ApiRoute> Routes(TestServer server)
    {
        var routes = ApiRoute.Of(server).Where(route => route.TakesABody && !NotRead.Contains(route.Name)).ToList();
        var missing = routes.Where(route => !Good.ContainsKey(route.Name)).Select(route => route.Name);
        Assert.True(!missing.Any(), "Add a good body to ApiBodies for " + string.Join(", ", missing));
        var gone = Good.Keys.Except(routes.Select(route => route.Name));
        Assert.True(!gone.Any(), "Take out of ApiBodies what is no route: " + string.Join(", ", gone));
        return routes;
    }

    /// <summary>Whether an answer to a member of a wrong type says that the route reads it.</summary>
    internal static bool Reads(ApiRoute route, string member, TestAnswer answer) => Open.Contains(route.Name)
        ? answer.Status == 400 && answer.ErrorParam?.StartsWith(member, StringComparison.Ordinal) == true
        : !answer.Text.Contains("is not a known field here", StringComparison.Ordinal);

    internal static string? Of(ApiRoute route, Func<string, string> id) =>
        Good.TryGetValue(route.Name, out var body) ? body.Replace("{agent}", id("agent"), StringComparison.Ordinal)
            : null;
}
