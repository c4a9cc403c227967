using System.Text;
using Reeve.Reliability.Load;
using Reeve.Server;
using Reeve.Server.Storage;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>An account with one of everything; whatever it wrote says its word.</summary>
internal sealed record MatrixTenant(ApiCaller Caller, string Word, IReadOnlyDictionary<string, string> Ids)
{
    internal const string Slug = "slug";
    internal const string User = "user";
    internal const string IdempotencyKey = "idempotency";

    internal string this[string kind] => Ids[kind];

    internal static async Task<MatrixTenant> NewAsync(LoadedServer server, string word)
    {
        using var first = server.NewClient();
        var made = await first.PostAsync("/v1/accounts", $$"""{"name":"{{word}}","plan":"enterprise"}""");
        var account = Text(made, "id");
        var paid = await first.PostAsync($"/v1/accounts/{account}/credits", """{"amount_usd":100000}""");
        var key = Text(made, "key");
        using var client = new TestClient(server.Url, key);
        var agent = await client.PostAsync("/v1/agents", $$"""
            {"name":"{{word}} desk","slug":"{{word}}-desk","model":"mesh/house-1","conversation_limit":1000000,
             "metadata":{"of":"{{word}}"} }
            """);
        var run = await client.SendAsync("POST", "/v1/agents/runs", $$"""
            {"agent":"{{Text(agent, "id")}}","input":"Tell me, {{word}}.","user":{"id":"{{word}}-user"} }
            """, ("Idempotency-Key", $"{word}-order"));
        var messages = await client.GetAsync($"/v1/conversations/{Text(run, "conversation_id")}/messages");
        var document = await client.PostAsync($"/v1/agents/{Text(agent, "id")}/documents",
            $$"""{"name":"{{word}}.txt","text":"What {{word}} knows: the bird sings."}""");
        TestAnswer chunks;
        do
        {
            chunks = await client.GetAsync($"/v1/documents/{Text(document, "id")}/chunks");
        }
        while (chunks.Json.GetProperty("data").GetArrayLength() == 0);

        var second = await client.PostAsync("/v1/api-keys", $$"""{"name":"{{word}}","scopes":["chat"]}""");
        var webhook = new TestAnswer[2]; // An even number: both of a pair of requests meet the limit, or none.
        for (var i = 0; i < webhook.Length; i++)
        {
            webhook[i] = await client.PostAsync("/v1/webhooks",
                $$"""{"url":"https://{{word}}.example/","events":["document.failed"],"description":"{{word}}"}""");
        }

        var caller = new ApiCaller(word, key, ["admin"], false, new ApiIds()) { AccountId = account };
        return new MatrixTenant(caller, word, new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [Id.Account] = account,
            [Id.Event] = Text(paid, "id"),
            [Id.Agent] = Text(agent, "id"),
            [Id.Run] = Text(run, "run_id"),
            [Id.Conversation] = Text(run, "conversation_id"),
            [Id.Receipt] = Text(run, "receipt_id"),
            [Id.Message] = messages.Json.GetProperty("data")[0].GetProperty("id").GetString()!,
            [Id.Document] = Text(document, "id"),
            [Id.Chunk] = chunks.Json.GetProperty("data")[0].GetProperty("id").GetString()!,
            [Id.Key] = Text(second, "id"),
            [Id.Webhook] = Text(webhook[0], "id"),
            [Slug] = $"{word}-desk",
            [User] = $"{word}-user",
            [IdempotencyKey] = $"{word}-order",
        });
    }

    /// <summary>
    /// Every way to write something of this account, each with its twin: the same form, and of nobody.
    /// </summary>
    internal IEnumerable<(string Kind, string Foreign, string Never)> Spellings()
    {
        foreach (var (kind, value) in Ids)
        {
            yield return (kind, value, Twin(value));
            if (kind is Slug or User or IdempotencyKey)
            {
                continue;
            }

            yield return (kind, value.ToLowerInvariant(), Twin(value).ToLowerInvariant());
            if (kind is Id.Agent or Id.Conversation)
            {
                var prefix = kind == Id.Agent ? "agent" : "task";
                yield return (kind, Id.WithPrefix(prefix, value), Id.WithPrefix(prefix, Twin(value)));
            }
        }

        yield return (Id.Agent, Ids[Id.Agent] + "@1", Twin(Ids[Id.Agent]) + "@1");
        yield return (Slug, Ids[Slug] + "@1", Twin(Ids[Slug]) + "@1");
    }

    /// <summary>The same form, next to it in any order, and of nobody.</summary>
    internal static string Twin(string value)
    {
        var at = value.Length - 3;
        return value[..at] + (value[at] == '7' ? '8' : '7') + value[(at + 1)..];
    }

    /// <summary>Every row of the account in every table, but for the counts and records of its requests.</summary>
    internal string Fingerprint(string database) => Database.ReadOnce(database, session =>
    {
        var text = new StringBuilder();
        foreach (var table in session.List(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
            static row => row.GetString(0)))
        {
            var columns = session.List("SELECT name FROM pragma_table_info($1)", static row => row.GetString(0), table);
            var of = table == "accounts" ? "id" : "account_id";

            // Checkpoints are written by the clock and not by anybody's request.
            if (!columns.Contains(of) || table is "key_months" or "request_log" or "audit_checkpoints")
            {
                continue;
            }

            var shown = columns.Where(static column => column != "last_used_at")
                .Select(static column => $"coalesce(quote(\"{column}\"), 'null')");
            text.Append(table).Append('\n').AppendJoin('\n', session.List(
                $"SELECT {string.Join(" || ',' || ", shown)} FROM \"{table}\" WHERE {of} = $1 ORDER BY 1",
                static row => row.GetString(0), Ids[Id.Account])).Append('\n');
        }

        return text.ToString();
    });

    private static string Text(TestAnswer answer, string member)
    {
        Assert.True(answer.Status is 200 or 201, answer.Text);
        return answer.Json.GetProperty(member).GetString()!;
    }
}
