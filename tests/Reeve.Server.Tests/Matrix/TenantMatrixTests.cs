using System.Text.Json;
using System.Text.RegularExpressions;
using Reeve.Server.Runs;

namespace Reeve.Server.Tests.Matrix;

/// <summary>
/// Whatever names something of another account, anywhere in a request, answers as if it had never existed. Generated
/// from the route table and from what each route turns out to read.
/// </summary>
public sealed partial class TenantMatrixTests
{
    private const string Unknown = "is not a known query parameter";

    /// <summary>Query parameters that can name something; those whose foreign value must show nothing at all.</summary>
    private static readonly string[] QueryIds =
        ["accountId", "agent", "conversation_id", "run_id", "slug", "task_id", "user_id"];

    /// <summary>Query parameters that are a position in a list of one's own.</summary>
    private static readonly string[] QueryPositions = ["after", "before"];

    private static readonly string[] QueryOthers =
    [
        "created_after", "created_before", "format", "from", "group_by", "include_tool_calls", "kind", "limit", "mode",
        "nonce", "offset", "order", "starting_after", "status", "stream", "to", "type", "window",
    ];

    private static readonly string[] MemberIds =
        ["agent", "agent_id", "conversation_id", "message_id", "model", "models", "slug", "task_id"];

    private static readonly string[] MemberOthers =
    [
        "allowed_origins", "amount_usd", "background", "builtin_fallback", "context", "conversation_limit",
            "description", "document",
        "enabled", "events", "execution_mode", "expires_at", "filter", "input", "instructions", "kind", "limit",
            "limits", "max_credits",
            "max_output_tokens",
        "metadata", "midstream_fallback", "min_score", "mode", "monthlyRequestLimit", "monthlyTokenLimit",
            "monthlyUsdLimit",
        "name", "note", "on_busy", "on_disconnect", "output_schema", "plan", "privacy_class", "query",
            "receipt", "requestsPerMinute",
        "audio", "dimensions", "encoding_format", "frequency_penalty", "function_call", "functions", "logprobs",
        "max_completion_tokens", "max_tokens",
        "messages", "n", "parallel_tool_calls", "presence_penalty", "privacy", "response_format", "route", "seed",
        "stop", "stream_options", "tool_choice", "top_p",
        "scopes", "signature", "status", "stream", "strict_citations", "temperature", "text", "title", "tools", "url",
            "user",
    ];

    /// <summary>Request headers that the source reads, each with a test here or a reason.</summary>
    private static readonly string[] Headers =
    [
        "AgentHeader", // X-Agent-Id
        "Authorization", // whose account it is
        "ContentEncoding", // names nothing
        "Idempotency-Key",
        "IfMatch", // a number
        "Last-Event-ID", // a number
    ];

    [Fact]
    public async Task Path_NamingWhatIsForeign_AnswersAsIfItNeverExisted()
    {
        await using var world = await TenantWorld.StartAsync();
        var before = world.Fingerprint(world.Victim);
        var wrong = new List<string>();
        var probes = 0;
        foreach (var route in ApiRoute.Of(world.Server).Where(route => route.Parameters.Count > 0))
        {
            foreach (var parameter in route.Parameters)
            {
                Assert.True(route.KindOf(parameter) is not null,
                    $"The matrix does not know {{{parameter}}} of {route.Name}.");
            }

            foreach (var (foreign, never) in world.Victim.Spellings())
            {
                foreach (var places in Places(route))
                {
                    probes++;
                    var answers = await BothAsync(foreign, never, value => AskAsync(
                        world.Attacker, route, parameter => places.Contains(parameter) ? value : null));
                    Compare(wrong, world, $"{route.Name} {string.Join(',', places)}={foreign}", foreign, never,
                        answers);
                    var isVersion = foreign.Contains('@', StringComparison.Ordinal); // 400 where only an agent will do.
                    var isRefused = answers.Foreign.Status == 403
                        && route.Name is "POST /v1/accounts/{id}/credits" or "PATCH /v1/providers/config/{provider}";
                    if (answers.Foreign.Status != 404 && !isRefused && !(isVersion && answers.Foreign.Status == 400))
                    {
                        wrong.Add($"{route.Name} with {foreign}: {Shape(answers.Foreign, foreign)}");
                    }
                }
            }
        }

        await AssertAsync(world, before, wrong, probes, 500);
    }

    [Fact]
    public async Task Path_NamingWhatIsOnesOwn_IsFound()
    {
        await using var world = await TenantWorld.StartAsync();
        var routes = ApiRoute.Of(world.Server).Where(route => route.Parameters.Count > 0)
            .OrderBy(route => route.Method == "DELETE").ThenByDescending(route => route.Parameters[0]).ToList();
        var wrong = new List<string>();
        var second = await world.Attacker.Client.PostAsync("/v1/api-keys", """{"name":"second","scopes":["chat"]}""");
        world.Attacker.Ids["key"] = second.Json.GetProperty("id").GetString()!; // The last admin key cannot be revoked.
        var last = new[] { "DELETE /api/tasks/{taskId}", "DELETE /v1/agents/{id}", "DELETE /v1/api-keys/{id}" };
        foreach (var route in routes.Where(route =>
            !last.Contains(route.Name) && route.Name != "DELETE /v1/conversations/{id}"))
        {
            var answer = await AskAsync(world.Attacker, route, _ => null);
            if (answer.Status is 404 or >= 500)
            {
                wrong.Add($"{route.Name} answers {answer.Status}: {answer.Text}");
            }
        }

        foreach (var name in last)
        {
            var answer = await AskAsync(world.Attacker, routes.Single(route => route.Name == name), _ => null);
            Assert.Equal((name, 204), (name, answer.Status));
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Fact]
    public async Task Query_NamingWhatIsForeign_AnswersAsIfItNeverExisted()
    {
        await using var world = await TenantWorld.StartAsync();
        var before = world.Fingerprint(world.Victim);
        var wrong = new List<string>();
        var probes = 0;
        foreach (var route in ApiRoute.Of(world.Server))
        {
            foreach (var name in await QueryOfAsync(world, route))
            {
                if (QueryOthers.Contains(name))
                {
                    continue;
                }

                Assert.True(QueryIds.Contains(name) || QueryPositions.Contains(name),
                    $"Say in the matrix what ?{name}= of {route.Name} can name.");
                foreach (var (foreign, never) in world.Victim.Spellings())
                {
                    probes++;
                    var answers = await BothAsync(foreign, never, value => AskAsync(world.Attacker, route, _ => null,
                        Query(world.Attacker, route, name, value)));
                    Compare(wrong, world, $"{route.Name}?{name}={foreign}", foreign, never, answers);
                    if (QueryIds.Contains(name) && answers.Foreign.Status == 200
                        && !EmptyList().IsMatch(answers.Foreign.Text))
                    {
                        wrong.Add($"{route.Name}?{name}={foreign} shows {answers.Foreign.Text}");
                    }
                }
            }
        }

        await AssertAsync(world, before, wrong, probes, 200);
    }

    [Fact]
    public async Task Body_NamingWhatIsForeign_AnswersAsIfItNeverExisted()
    {
        await using var world = await TenantWorld.StartAsync();
        var before = world.Fingerprint(world.Victim);
        var wrong = new List<string>();
        var probes = 0;
        var members = new List<(ApiRoute Route, string Name)>();
        foreach (var route in ApiBodies.Routes(world.Server))
        {
            members.AddRange((await MembersOfAsync(world, route)).Except(MemberOthers).Select(name => (route, name)));
        }

        // Slugs last: what they make would answer to the names that the others try.
        foreach (var (route, name) in members.OrderBy(member => member.Name == "slug"))
        {
            Assert.True(MemberIds.Contains(name),
                $"Say in the matrix what the member {name} of {route.Name} can name.");
            foreach (var (foreign, never) in world.Victim.Spellings())
            {
                probes++;
                var answers = await BothAsync(foreign, never, value => AskAsync(world.Attacker, route, _ => null,
                    body: Body(world.Attacker, route, name, $"\"{value}\"")));
                Compare(wrong, world, $"{route.Name} {name}={foreign}", foreign, never, answers);
            }

            await AskAsync(world.Attacker, route, _ => null, body: Body(world.Attacker, route, name, "\"last\""));
        }

        await AssertAsync(world, before, wrong, probes, 100);
    }

    [Fact]
    public async Task AgentHeader_NamingWhatIsForeign_AnswersAsIfItNeverExisted()
    {
        await using var world = await TenantWorld.StartAsync();
        var before = world.Fingerprint(world.Victim);
        var wrong = new List<string>();
        var probes = 0;
        Assert.Equal(Headers, ApiNames.Headers);
        foreach (var route in ApiRoute.Of(world.Server).Where(route => route.IsAuteryn))
        {
            foreach (var (foreign, never) in world.Victim.Spellings())
            {
                foreach (var whole in new[] { false, true })
                {
                    probes++;
                    var answers = await BothAsync(foreign, never, value => AskAsync(world.Attacker, route,
                        parameter => !whole ? null : value == foreign
                            ? world.Victim[route.KindOf(parameter)!]
                            : Tenant.Twin(world.Victim[route.KindOf(parameter)!]),
                        Query(world.Attacker, route), null, ("X-Agent-Id", value)));
                    Compare(wrong, world, $"{route.Name} X-Agent-Id={foreign}", foreign, never, answers);
                    if (answers.Foreign.Status is not (404 or 405))
                    {
                        wrong.Add($"{route.Name} X-Agent-Id={foreign} answers {answers.Foreign.Status}");
                    }
                }
            }
        }

        await AssertAsync(world, before, wrong, probes, 100);
    }

    [Fact]
    public async Task IdempotencyKey_OfAnotherAccount_IsAKeyThatNobodyUsed()
    {
        await using var world = await TenantWorld.StartAsync();
        var before = world.Fingerprint(world.Victim);
        foreach (var (path, body) in new[]
        {
            ("/v1/agents/runs", """{"agent":"attacker-desk","input":"Tell me, victim-canary."}"""),
            ($"/v1/agents/{world.Attacker["agent"]}/chat", """{"input":"Hi"}"""),
            ("/api/run", """{"query":"Hi","stream":false}"""),
        })
        {
            var agent = ("X-Agent-Id", world.Attacker["agent"]);
            var foreign = await world.Attacker.Client.SendAsync(
                "POST", path, body, ("Idempotency-Key", "victim-order-1"), agent);
            var never = await world.Attacker.Client.SendAsync(
                "POST", path, body, ("Idempotency-Key", $"new-order-{path}"), agent);

            Assert.Equal(200, foreign.Status);
            Assert.Null(foreign.Header("Idempotent-Replayed"));
            Assert.Equal(Shape(never, ""), Shape(foreign, ""));
        }

        Assert.Equal(before, world.Fingerprint(world.Victim));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("2")]
    [InlineData("9007199254740992")]
    public async Task Cursor_OnAForeignRun_AnswersAsOnARunThatNeverExisted(string cursor)
    {
        await using var world = await TenantWorld.StartAsync();
        foreach (var route in ApiRoute.Of(world.Server)
            .Where(route => route.Path.EndsWith("/events", StringComparison.Ordinal)))
        {
            foreach (var run in new[] { world.Victim["run"], world.Victim["running"] })
            {
                foreach (var inQuery in new[] { false, true })
                {
                    var answers = await BothAsync(run, Tenant.Twin(run), value => AskAsync(world.Attacker, route,
                        parameter => parameter == "runId" ? value : null,
                        inQuery ? $"?starting_after={cursor}" : "", null, ("Last-Event-ID", cursor)));
                    Assert.Equal(404, answers.Foreign.Status);
                    Assert.Equal(Shape(answers.Never, Tenant.Twin(run)), Shape(answers.Foreign, run));
                }
            }
        }
    }

    [Fact]
    public async Task Credits_ByAnAccountForItself_AreRefused()
    {
        await using var world = await TenantWorld.StartAsync();
        var before = world.Fingerprint(world.Attacker);

        var answer = await world.Attacker.Client.PostAsync(
            $"/v1/accounts/{world.Attacker["account"]}/credits", """{"amount_usd":1000}""");

        Assert.Equal((403, "forbidden"), (answer.Status, answer.ErrorCode));
        Assert.Equal(before, world.Fingerprint(world.Attacker));
    }

    [Fact]
    public async Task Document_WithTheContentOfAForeignOne_IsANewOneOfOnesOwn()
    {
        await using var world = await TenantWorld.StartAsync();
        var before = world.Fingerprint(world.Victim);

        var answer = await world.Attacker.Client.PostAsync($"/v1/agents/{world.Attacker["agent"]}/documents",
            """{"name":"victim-canary.txt","text":"What victim-canary knows: the bird sings for victim-canary."}""");

        Assert.Equal(201, answer.Status);
        Assert.NotEqual(world.Victim["document"], answer.Json.GetProperty("id").GetString());
        Assert.Equal(before, world.Fingerprint(world.Victim));
    }

    [Fact]
    public async Task Slug_OfTwoAccounts_NamesEachOnesOwn()
    {
        await using var world = await TenantWorld.StartAsync();
        var made = await world.Attacker.Client.PostAsync("/v1/agents",
            $$"""{"name":"Twin","slug":"{{world.Victim["slug"]}}","model":"mesh/house-1"}""");
        Assert.Equal(201, made.Status);

        var mine = await world.Attacker.Client.GetAsync($"/v1/agents/{world.Victim["slug"]}");
        var theirs = await world.Victim.Client.GetAsync($"/v1/agents/{world.Victim["slug"]}");

        Assert.Equal(made.Json.GetProperty("id").GetString(), mine.Json.GetProperty("id").GetString());
        Assert.Equal(world.Victim["agent"], theirs.Json.GetProperty("id").GetString());
    }

    private static IEnumerable<string[]> Places(ApiRoute route) => route.Parameters.Count == 1
        ? [[.. route.Parameters]]
        : [.. route.Parameters.Select(one => new[] { one }), [.. route.Parameters]];

    private static async Task<(TestAnswer Foreign, TestAnswer Never)> BothAsync(
        string foreign, string never, Func<string, Task<TestAnswer>> ask) => (await ask(foreign), await ask(never));

    /// <summary>Asks with one's own ids wherever nothing else is said.</summary>
    private static Task<TestAnswer> AskAsync(
        Tenant tenant, ApiRoute route, Func<string, string?> value, string? query = null, string? body = null,
        params (string Name, string Value)[] headers)
    {
        var path = route.Fill(parameter => value(parameter) ?? tenant[route.KindOf(parameter)!]);
        var agent = headers.Any(header => header.Name == "X-Agent-Id") || !route.IsAuteryn
            ? headers
            : [.. headers, ("X-Agent-Id", tenant["agent"])];
        return tenant.Client.SendAsync(route.Method, path + (query ?? Query(tenant, route)),
            body ?? ApiBodies.Of(route, kind => tenant[kind]), agent);
    }

    private static string Query(Tenant tenant, ApiRoute route, string? name = null, string? value = null)
    {
        var pairs = new List<string>();
        if (route.Name == "GET /api/messages" && name != "task_id")
        {
            pairs.Add($"task_id={tenant["conversation"]}");
        }

        if (name is not null)
        {
            pairs.Add($"{name}={Uri.EscapeDataString(value!)}");
        }

        return pairs.Count == 0 ? "" : "?" + string.Join('&', pairs);
    }

    /// <summary>The query parameters that a route reads: those that it does not refuse as unknown.</summary>
    private static async Task<List<string>> QueryOfAsync(TenantWorld world, ApiRoute route)
    {
        var names = new List<string>();
        foreach (var name in (string[])["certainly_unknown", .. ApiNames.Query])
        {
            var answer = await AskAsync(world.Attacker, route, parameter => Tenant.Twin(world.Victim["conversation"]),
                $"?{name}=%20", "[]");
            if (!answer.Text.Contains(Unknown, StringComparison.Ordinal))
            {
                names.Add(name);
            }
        }

        return names.Contains("certainly_unknown") ? [] : names; // It looks at no query at all.
    }

    private static string Body(Tenant tenant, ApiRoute route, string name, string value)
    {
        var good = ApiBodies.Of(route, kind => tenant[kind])!;
        var members = string.Join(',', JsonElement.Parse(good).EnumerateObject().Where(member => member.Name != name)
            .Select(member => $"\"{member.Name}\":{member.Value.GetRawText()}"));
        var widget = name == "agent_id" ? ",\"kind\":\"afk_widget\",\"allowed_origins\":[\"https://a.example\"]" : "";
        return $"{{\"{name}\":{value}{widget}{(members.Length > 0 ? "," + members : "")}}}";
    }

    /// <summary>The members that a route reads: those whose wrong type is told as such.</summary>
    private static async Task<List<string>> MembersOfAsync(TenantWorld world, ApiRoute route)
    {
        var names = new List<string>();
        foreach (var name in ApiNames.Members)
        {
            var answer = await AskAsync(world.Attacker, route, _ => null,
                body: Body(world.Attacker, route, name, "[[[]]]"));
            if (answer.Status == 403)
            {
                return []; // The operator's alone: the body is not even read.
            }

            if (ApiBodies.Reads(route, name, answer))
            {
                names.Add(name);
            }
        }

        return names;
    }

    private static void Compare(
        List<string> wrong, TenantWorld world, string what, string foreign, string never,
        (TestAnswer Foreign, TestAnswer Never) answers)
    {
        var (shape, twin) = (Shape(answers.Foreign, foreign), Shape(answers.Never, never));
        if (shape != twin)
        {
            wrong.Add($"{what}\n  foreign: {shape}\n  never:   {twin}");
        }

        var leaked = world.Victim.Ids.Values.Where(id => id.Length > 10).Append("canary")
            .FirstOrDefault(id => shape.Contains(id, StringComparison.OrdinalIgnoreCase));
        if (leaked is not null)
        {
            wrong.Add($"{what} tells {leaked}: {shape}");
        }
    }

    /// <summary>
    /// All of an answer but what differs between any two requests: ids and versions of what they made, counters.
    /// </summary>
    private static string Shape(TestAnswer answer, string sent)
    {
        var headers = answer.Message.Headers.Concat(answer.Message.Content.Headers)
            .Where(header => header.Key is not ("x-request-id" or "Date" or "RateLimit" or "Content-Length")
                && !header.Key.StartsWith("X-RateLimit-", StringComparison.Ordinal))
            .OrderBy(header => header.Key, StringComparer.Ordinal)
            .Select(header => $"{header.Key}={string.Join(',', header.Value)}");
        var text = $"{answer.Status} {string.Join(' ', headers)} {answer.Text}";
        text = sent.Length > 0 ? text.Replace(sent, "<sent>", StringComparison.OrdinalIgnoreCase) : text;
        text = RequestId().Replace(text, "<request>");
        return answer.Status is 200 or 201 && answer.Message.RequestMessage!.Method.Method != "GET"
            ? Made().Replace(text, "<made>")
            : text;
    }

    private static async Task AssertAsync(
        TenantWorld world, string before, List<string> wrong, int probes, int atLeast)
    {
        Assert.True(wrong.Count == 0, $"{wrong.Count} of {probes}:\n{string.Join('\n', wrong.Take(20))}");
        Assert.True(probes >= atLeast, $"Only {probes} probes.");
        Assert.Equal(before, world.Fingerprint(world.Victim));
        Assert.Empty(world.Server.Database.Read(new Verifier().Check));
        var own = await world.Victim.Client.GetAsync($"/v1/runs/{world.Victim["running"]}");
        Assert.Equal("running", own.Json.GetProperty("status").GetString());
    }

    [GeneratedRegex("req_[0-9A-Z]{26}")]
    private static partial Regex RequestId();

    [GeneratedRegex(
        "(agt|conv|run|msg|rcpt|key|evt|acct|task|doc)_[0-9A-Z]{26}|\"version\":\\d+|ETag=\"\\d+\"|mesh_live_\\w+"
        + "|chatcmpl-[0-9A-Z]{26}|afk_\\w+|\"last_four\":\"\\w+\"|(agent|made)-\\d+")]
    private static partial Regex Made();

    [GeneratedRegex("""^\{"(data|tasks|messages|runs)":\[\]""")]
    private static partial Regex EmptyList();
}
