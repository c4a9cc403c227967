using System.Text;
using Reeve.Server.Storage;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Matrix;

/// <summary>
/// Two accounts beside the operator's, each with one of everything: what one of them owns is what the other must never
/// notice. The victim also has a run that is still going on.
/// </summary>
internal sealed class TenantWorld : IAsyncDisposable
{
    private const string Canary = "canary";

    private readonly TaskCompletionSource _gate;

    private TenantWorld(TestServer server, TaskCompletionSource gate, Tenant victim, Tenant attacker)
    {
        (Server, _gate, Victim, Attacker) = (server, gate, victim, attacker);
    }

    internal TestServer Server { get; }

    internal Tenant Victim { get; }

    internal Tenant Attacker { get; }

    internal static async Task<TenantWorld> StartAsync()
    {
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient()
            .Reply("Mine.", ScriptedChatClient.Usage(10, 5))
            .Reply(ScriptedChatClient.Call("time-now", "{}"), ScriptedChatClient.Usage(5, 5))
            .Reply($"The {Canary} sings.", ScriptedChatClient.Usage(10, 5))
            .Reply($"Slow {Canary}", gate.Task, ScriptedChatClient.Usage(10, 5))
            .Reply("Mine again.", ScriptedChatClient.Usage(10, 5));
        var server = await TestServer.StartAsync(configure: builder =>
        {
            model.AddTo(builder);
            new ScriptedEmbeddings().AddTo(builder);
        });
        var attacker = await NewTenantAsync(server, "attacker", "attacker");
        var victim = await NewTenantAsync(server, "victim", $"victim-{Canary}");
        var running = await victim.Client.PostAsync("/v1/agents/runs",
            $$"""{"agent":"{{victim["agent"]}}","input":"Go on, {{Canary}}","background":true}""");
        Assert.Equal(202, running.Status);
        victim.Ids["running"] = running.Json.GetProperty("run_id").GetString()!;
        var feed = server.Service<Reeve.Server.Runs.RunLog>();
        await Eventually.TrueAsync(() => feed.Find(new TenantContext(victim["account"]),
            victim["running"])!.CommittedSeq > 2);
        return new TenantWorld(server, gate, victim, attacker);
    }

    /// <summary>Every row of the account in every table, but for the counts and records of its requests.</summary>
    internal string Fingerprint(Tenant tenant) => Server.Database.Read(session =>
    {
        var text = new StringBuilder();
        foreach (var table in Tables(session))
        {
            var columns = session.List($"SELECT name FROM pragma_table_info('{table}')", row => row.GetString(0));
            var of = table is "request_log" or "audit_checkpoints" ? null
                : table == "accounts" ? "id"
                : columns.Contains("account_id") ? "account_id" : null;
            if (of is null)
            {
                continue;
            }

            var shown = columns.Where(column => !(table == "key_months" && column == "requests")
                && column != "last_used_at")
                .Select(column => $"coalesce(quote(\"{column}\"), 'null')");
            var rows = session.List(
                $"SELECT {string.Join(" || ',' || ", shown)} FROM \"{table}\" WHERE {of} = $1 ORDER BY 1",
                row => row.GetString(0), tenant["account"]);
            text.Append(table).Append('\n').AppendJoin('\n', rows).Append('\n');
        }

        return text.ToString();
    });

    internal static List<string> Tables(DbSession session) => session.List(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
        row => row.GetString(0));

    /// <summary>
    /// Rows of each table; requests are counted without telling anybody, so <c>key_months</c> is left out.
    /// </summary>
    internal static string RowCounts(TestServer server) => server.Database.Read(session => string.Join('\n',
        Tables(session).Where(table => table is not ("key_months" or "request_log"))
            .Select(table => $"{table} {session.Count($"SELECT count(*) FROM \"{table}\"")}")));

    public async ValueTask DisposeAsync()
    {
        _gate.TrySetResult();
        await Server.DisposeAsync();
        Victim.Client.Dispose();
        Attacker.Client.Dispose();
    }

    private static async Task<Tenant> NewTenantAsync(TestServer server, string name, string word)
    {
        var made = await server.Client.PostAsync("/v1/accounts", $$"""{"name":"{{word}}","plan":"enterprise"}""");
        Assert.True(made.Status == 201, made.Text);
        var account = made.Json.GetProperty("id").GetString()!;
        var paid = await server.Client.PostAsync($"/v1/accounts/{account}/credits", """{"amount_usd":20}""");
        Assert.True(paid.Status == 201, paid.Text);
        var client = server.ClientFor(made.Json.GetProperty("key").GetString());
        var ids = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["account"] = account,
            ["slug"] = $"{word}-desk",
            ["user"] = $"{word}-user",
            ["version"] = "1",
            ["provider"] = "house-1",
            ["event"] = paid.Json.GetProperty("id").GetString()!,
        };
        var agent = await client.PostAsync("/v1/agents",
            $$"""
            {"name":"{{word}} desk","slug":"{{word}}-desk","model":"mesh/house-1",
             "tools":[{"name":"time","type":"builtin"}]}
            """);
        Assert.True(agent.Status == 201, agent.Text);
        ids["agent"] = agent.Json.GetProperty("id").GetString()!;
        var run = await client.SendAsync("POST", "/v1/agents/runs",
            $$"""{"agent":"{{ids["agent"]}}","input":"Tell me, {{word}}.","user":{"id":"{{word}}-user"} }""",
            ("Idempotency-Key", $"{name}-order-1"));
        Assert.True(run.Status == 200, run.Text);
        ids["run"] = run.Json.GetProperty("run_id").GetString()!;
        ids["conversation"] = run.Json.GetProperty("conversation_id").GetString()!;
        ids["message"] = run.Json.GetProperty("id").GetString()!;
        ids["receipt"] = run.Json.GetProperty("receipt_id").GetString()!;
        ids["key"] = (await client.GetAsync("/v1/api-keys")).Json.GetProperty("data")[0].GetProperty("id").GetString()!;
        var messages = await client.GetAsync($"/v1/conversations/{ids["conversation"]}/messages");
        ids["question"] = messages.Json.GetProperty("data")[0].GetProperty("id").GetString()!;
        var document = await client.PostAsync($"/v1/agents/{ids["agent"]}/documents",
            $$"""{"name":"{{word}}.txt","text":"What {{word}} knows: the bird sings for {{word}}."}""");
        Assert.True(document.Status == 201, document.Text);
        ids["document"] = document.Json.GetProperty("id").GetString()!;
        var webhook = await client.PostAsync("/v1/webhooks",
            $$"""{"url":"https://{{word}}.example/","events":["document.failed"],"description":"{{word}}"}""");
        ids["webhook"] = webhook.Json.GetProperty("id").GetString()!;
        TestAnswer chunks;
        do
        {
            chunks = await client.GetAsync($"/v1/documents/{ids["document"]}/chunks");
        }
        while (chunks.Json.GetProperty("data").GetArrayLength() == 0);
        ids["chunk"] = chunks.Json.GetProperty("data")[0].GetProperty("id").GetString()!;
        return new Tenant(client, ids);
    }
}

/// <summary>An account of the matrix: its admin client and one id of everything that it owns.</summary>
internal sealed record Tenant(TestClient Client, Dictionary<string, string> Ids)
{
    internal string this[string kind] => Ids[kind];

    /// <summary>
    /// Every way to write something of this account, each with its twin: the same form, next to it in any order, and of
    /// nobody.
    /// </summary>
    internal IEnumerable<(string Foreign, string Never)> Spellings()
    {
        foreach (var (kind, value) in Ids)
        {
            if (kind is "version" or "provider")
            {
                continue;
            }

            if (kind is "slug" or "user")
            {
                yield return (value, Twin(value));
                continue;
            }

            yield return (value, Twin(value));
            yield return (value.ToLowerInvariant(), Twin(value).ToLowerInvariant());
            foreach (var (prefix, other) in new[] { ("agt_", "agent_"), ("conv_", "task_") })
            {
                if (value.StartsWith(prefix, StringComparison.Ordinal))
                {
                    yield return (other + value[prefix.Length..], other + Twin(value)[prefix.Length..]);
                }
            }
        }

        yield return (Ids["agent"] + "@1", Twin(Ids["agent"]) + "@1");
        yield return (Ids["slug"] + "@1", Twin(Ids["slug"]) + "@1");
    }

    internal static string Twin(string value)
    {
        var at = value.Length - 3;
        return value[..at] + (value[at] == '7' ? '8' : '7') + value[(at + 1)..];
    }
}
