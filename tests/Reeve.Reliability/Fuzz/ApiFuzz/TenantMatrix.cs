using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Reeve.Reliability.Load;
using Reeve.Reliability.Simulation;
using Reeve.Server;
using Reeve.Server.Storage;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>
/// R12: every operation of the document, every field of it that holds text, everything of another account. Whatever is
/// named so answers as what never existed: the same status, headers and body but for the name itself.
/// </summary>
internal static partial class TenantMatrix
{
    private const int ProblemsMax = 100;
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(30);

    internal static async Task<Score> RunAsync(Trial trial)
    {
        using var model = new RawModel(TimeSpan.Zero);
        await using var server = new LoadedServer(model);
        await server.StartAsync();
        var spec = ApiSpec.Load();
        var victim = await MatrixTenant.NewAsync(server, "canary");
        var attacker = await MatrixTenant.NewAsync(server, "raven");
        var database = DataFolder.DatabaseIn(Path.Combine(server.Folder, "data"));
        var before = victim.Fingerprint(database);
        using var probe = new Probe(spec, server, victim, attacker, trial.Scale);

        // First what names things; then what is kept as it is, after which one's own answers say the other's words.
        await probe.EveryNameAsync();
        await probe.EveryCursorAsync();
        await probe.EveryKeyAsync();
        await probe.RandomAsync(trial.Count(test: 500, ci: 5_000, bench: 100_000), new SimRandom(trial.Seed));
        await probe.EveryTextAsync();
        await probe.OwnAsync();
        var after = victim.Fingerprint(database);
        if (after != before)
        {
            var (old, now) = (before.Split('\n'), after.Split('\n'));
            var changed = now.Except(old).Concat(old.Except(now));
            probe.Problems.Add($"the rows of the other account changed: {string.Join(" | ", changed)}");
        }

        await probe.ModesAsync();

        if (await server.VerifyAsync() is { } complaint)
        {
            probe.Problems.Add(complaint);
        }

        return new Score(probe.Count, string.Create(CultureInfo.InvariantCulture,
            $"{probe.Operations} operations, {probe.Fields} fields, {probe.Named} of them name something, "
            + $"{probe.Random} random pairs; each asked twice, with what is another's and with what is nobody's"),
            probe.Problems);
    }

    private sealed partial class Probe(
        ApiSpec spec, LoadedServer server, MatrixTenant victim, MatrixTenant attacker, Scale scale) : IDisposable
    {
        /// <summary>What a field needs beside it to be looked at.</summary>
        private static readonly Dictionary<string, string> Beside = new(StringComparer.Ordinal)
        {
            ["createApiKey agent_id"] = """{"kind":"afk_widget","allowed_origins":["https://a.example"]}""",
        };

        private const string KeyHeader = "Idempotency-Key";

        private static readonly string[] Minimal = ["name", "input", "query", "text"];

        private readonly List<ApiOperation> _operations = [.. spec.Operations.Where(static one => !one.IsPublic)];
        private readonly List<(string Kind, string Foreign, string Never)> _spellings = scale == Scale.Test
            ? [.. victim.Spellings().DistinctBy(static one => one.Kind)]
            : [.. victim.Spellings()];

        private readonly List<MatrixField> _fields = [.. spec.Operations.Where(static one => !one.IsPublic)
            .SelectMany(one => MatrixFields.Of(spec, one))];

        private RawConnection? _connection;
        private int _made;

        internal List<string> Problems { get; } = [];

        internal int Count { get; private set; }

        internal int Operations => _operations.Count;

        internal int Fields => _fields.Count;

        internal int Named => _fields.Count(static one => MatrixFields.KindOf(one) is not null);

        internal int Random { get; private set; }

        public void Dispose() => _connection?.Dispose();

        internal async Task EveryNameAsync()
        {
            foreach (var field in _fields.Where(static one => MatrixFields.KindOf(one) is not null))
            {
                foreach (var spelling in _spellings)
                {
                    var answer = await CompareAsync([(field, spelling.Foreign, spelling.Never)]);
                    if (!IsDenied(field, spelling.Kind, spelling.Foreign, answer))
                    {
                        Add($"{field} with the other's {spelling.Kind} {spelling.Foreign} answers {answer.Status} "
                            + answer.Text);
                    }
                }
            }

            // The records of requests show what one asked for oneself, the names of the other's among it.
            foreach (var operation in _operations.Where(static one => one.Method == "GET" && one.Id != "listLogs"))
            {
                Leak(operation.Name, await SendAsync(Base(operation)), null);
            }
        }

        /// <summary>Text that names nothing of another's: no word of the other's makes a difference.</summary>
        internal async Task EveryTextAsync()
        {
            // Slugs last: what they make would answer to the names that the others try.
            foreach (var field in _fields.Where(static one => MatrixFields.KindOf(one) is null && one.Name != KeyHeader)
                .OrderBy(static one => one.Name == "slug"))
            {
                foreach (var spelling in _spellings)
                {
                    await CompareAsync([(field, spelling.Foreign, spelling.Never)], mayTell: true);
                }
            }
        }

        /// <summary>A cursor on another's run tells no more than one on nobody's.</summary>
        internal async Task EveryCursorAsync()
        {
            foreach (var operation in _operations.Where(static one => one.In("header")
                .Any(static header => header.Name == "Last-Event-ID")))
            {
                var field = new MatrixField(operation, "path", "runId");
                foreach (var cursor in (string[])["0", "1", "2", "3", "999", "9007199254740992", "x"])
                {
                    await CompareAsync([(field, victim[Id.Run], MatrixTenant.Twin(victim[Id.Run]))],
                        request => request.Headers.Add(("Last-Event-ID", cursor)));
                    await CompareAsync([(field, victim[Id.Run], MatrixTenant.Twin(victim[Id.Run]))],
                        request => request.Query.Add(("starting_after", cursor)));
                }
            }
        }

        /// <summary>The other's idempotency key is one that nobody used.</summary>
        internal async Task EveryKeyAsync()
        {
            foreach (var operation in _operations.Where(static one => one.In("header")
                .Any(static header => header.Name == KeyHeader)))
            {
                var request = Base(operation);
                request.Headers.Add((KeyHeader, victim[MatrixTenant.IdempotencyKey]));
                var answer = await SendAsync(request);
                Count++;
                if (answer.Status != 200 || answer.Header("Idempotent-Replayed") is not null
                    || answer.Text.Contains(victim[Id.Run], StringComparison.Ordinal))
                {
                    Add($"{operation.Name} with the other's Idempotency-Key answers {answer.Status} {answer.Text}");
                }
            }
        }

        /// <summary>Several fields at once, each with anything of the other account.</summary>
        internal async Task RandomAsync(int count, SimRandom random)
        {
            var fields = _fields.Where(static one => MatrixFields.KindOf(one) is not null)
                .GroupBy(static one => one.Operation).Select(static one => one.ToList()).ToList();
            for (; Random < count && Problems.Count < ProblemsMax; Random++)
            {
                var of = random.Pick(fields);
                var chosen = of.Where(one => random.Chance(40)
                    || (one.In == "path" && one.Operation.Method == "DELETE")).Select(field =>
                    {
                        var spelling = random.Pick(_spellings);
                        return (field, spelling.Foreign, spelling.Never);
                    }).ToList();
                if (chosen.Count > 0)
                {
                    await CompareAsync(chosen);
                }
            }
        }

        /// <summary>With one's own in the same places it works: else what came before would show nothing.</summary>
        internal async Task OwnAsync()
        {
            foreach (var field in _operations.OrderBy(static one => one.Method == "DELETE")
                .ThenBy(static one => one.Id is "deleteAgent").ThenBy(static one => one.Id is "deleteConversation")
                .SelectMany(one => _fields.Where(field => field.Operation == one)))
            {
                // One erasure of the conversation is enough; the second finds nothing, as it should.
                if (MatrixFields.KindOf(field) is not { } kind || field.Operation.Id == "deleteConversation")
                {
                    continue;
                }

                var request = With(field, attacker[kind]);
                var answer = await SendAsync(request);
                Count++;
                if (answer.Status is 404 or >= 500)
                {
                    Add($"{field} with one's own {kind} answers {answer.Status} {answer.Text}: {request}");
                }

                if (field.Operation.Id == "auterynDeleteTask")
                {
                    break; // Its other fields, and agents, would be gone.
                }
            }
        }

        /// <summary>A test key spends test money, reaches built-in models, makes no live key and no money.</summary>
        internal async Task ModesAsync()
        {
            using var live = new TestClient(server.Url, victim.Caller.Key);
            var made = await live.PostAsync("/v1/api-keys", """{"name":"t","scopes":["admin"],"kind":"mesh_test"}""");
            using var test = new TestClient(server.Url, made.Json.GetProperty("key").GetString());
            var before = await BalancesAsync(live);
            var run = $$"""{"agent":"{{victim[Id.Agent]}}","input":"Hi"}""";
            Expect(422, await test.PostAsync("/v1/agents/runs", run), "a test key with a model that costs");
            Expect(200, await test.PatchAsync(
                $"/v1/agents/{victim[Id.Agent]}", """{"model":"auto"}"""), "a test key changes an agent");
            var built = await test.PostAsync("/v1/agents/runs", run);
            Expect(200, built, "a test key with a router mode");
            Expect(403, await test.PostAsync("/v1/api-keys", """{"name":"l","scopes":["chat"],"kind":"mesh_live"}"""),
                "a test key makes a live one");
            Expect(403, await test.PostAsync(
                $"/v1/accounts/{victim[Id.Account]}/credits", """{"amount_usd":1}"""), "a test key tops up");
            var kept = await live.GetAsync($"/v1/runs/{built.Json.GetProperty("run_id").GetString()}");
            if (kept.Json.GetProperty("mode").GetString() != "test"
                || kept.Json.GetProperty("route").GetProperty("model").GetString() != "reeve/quote"
                || await BalancesAsync(live) is var after && after.Live != before.Live)
            {
                Add($"a test run was not kept apart: {kept.Text}");
            }
        }

        private static async Task<(decimal Live, decimal Test)> BalancesAsync(TestClient client)
        {
            var me = (await client.GetAsync("/v1/accounts/me")).Json;
            return (me.GetProperty("balanceUsd").GetDecimal(), me.GetProperty("test_balance_usd").GetDecimal());
        }

        private void Expect(int status, TestAnswer answer, string what)
        {
            Count++;
            if (answer.Status != status)
            {
                Add($"{what}: {answer.Status} {answer.Text}");
            }
        }

        /// <summary>Asks twice and compares; the answer is that to what is another's.</summary>
        private async Task<RawAnswer> CompareAsync(
            List<(MatrixField Field, string Foreign, string Never)> fields, Action<ApiRequest>? more = null,
            bool mayTell = false)
        {
            var (foreign, never) = (Base(fields[0].Field.Operation), Base(fields[0].Field.Operation));
            foreach (var (field, other, nobody) in fields)
            {
                Put(foreign, field, other);
                Put(never, field, nobody);
            }

            more?.Invoke(foreign);
            more?.Invoke(never);
            Count++;
            var (first, second) = (await SendAsync(foreign), await SendAsync(never));
            var (shape, twin) = (Shape(first), Shape(second));
            if (shape != twin)
            {
                Add($"{foreign}\n    is answered {shape}\n    and what never existed {twin}");
            }

            if (!mayTell)
            {
                Leak(foreign.ToString(), first, fields);
            }

            return first;
        }

        private void Leak(
            string what, RawAnswer answer, List<(MatrixField Field, string Foreign, string Never)>? sent)
        {
            var text = answer.Text;
            foreach (var id in victim.Ids.Values.Append(victim.Word).Where(id => sent is null
                || !sent.Exists(one => one.Foreign.Contains(id, StringComparison.OrdinalIgnoreCase))))
            {
                if (text.Contains(id, StringComparison.OrdinalIgnoreCase))
                {
                    Add($"{what} tells {id}: {text}");
                }
            }
        }

        /// <summary>404, or a documented 403; in the filter of a list what is another's fits nothing.</summary>
        private static bool IsDenied(MatrixField field, string kind, string value, RawAnswer answer) =>
            answer.Status switch
            {
                404 => true,
                403 => field.Operation.Path.StartsWith("/v1/accounts/", StringComparison.Ordinal),

                // Nothing of the field's kind at all, or an agent's version where only an agent will do.
                400 => kind != MatrixFields.KindOf(field) || value.Contains('@', StringComparison.Ordinal),
                200 => field.In == "query" && EmptyList().IsMatch(answer.Text),
                _ => false,
            };

        private ApiRequest With(MatrixField field, string value)
        {
            var request = Base(field.Operation);
            Put(request, field, value);
            return request;
        }

        /// <summary>The least request of the operation, of one's own things alone.</summary>
        private ApiRequest Base(ApiOperation operation)
        {
            var request = new ApiRequest(operation, attacker.Caller);
            foreach (var parameter in operation.Parameters.Where(static one => one.IsRequired))
            {
                var field = new MatrixField(operation, parameter.In, parameter.Name);
                Put(request, field, MatrixFields.KindOf(field) is { } kind ? attacker[kind] : "1");
            }

            if (operation.BodySchema is { } schema)
            {
                var body = new JsonObject();
                var names = spec.FirstForm(schema).TryGetProperty("required", out var required)
                    ? required.EnumerateArray().Select(static one => one.GetString()!)
                    : [];
                foreach (var name in names)
                {
                    body[name] = name switch
                    {
                        "agent" => attacker[Id.Agent],
                        "scopes" => new JsonArray("chat"),
                        "url" => "https://hooks.example/",
                        "events" => new JsonArray("run.completed"),
                        "amount_usd" => 1,
                        "messages" => new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Hi" }),
                        _ when Minimal.Contains(name) => $"made {++_made}",
                        _ => throw new InvalidOperationException($"Say what a least {name} is."),
                    };
                }

                request.Body = Encoding.UTF8.GetBytes(body.ToJsonString());
            }

            return request;
        }

        private void Put(ApiRequest request, MatrixField field, string value)
        {
            switch (field.In)
            {
                case "path":
                    request.PathValues[field.Name] = value;
                    break;
                case "query":
                    request.Query.RemoveAll(one => one.Name == field.Name);
                    request.Query.Add((field.Name, value));
                    break;
                case "header":
                    request.Headers.RemoveAll(one => one.Name == field.Name);
                    request.Headers.Add((field.Name, value));
                    break;
                default:
                    var body = JsonNode.Parse(request.Body)!.AsObject();
                    if (Beside.TryGetValue($"{field.Operation.Id} {field.Name}", out var beside))
                    {
                        foreach (var (name, member) in JsonNode.Parse(beside)!.AsObject())
                        {
                            body[name] = member!.DeepClone();
                        }
                    }

                    MatrixFields.Put(spec, field.Operation.BodySchema!.Value, body, field.Name, value);
                    request.Body = Encoding.UTF8.GetBytes(body.ToJsonString());
                    break;
            }
        }

        private async Task<RawAnswer> SendAsync(ApiRequest request)
        {
            using var deadline = new CancellationTokenSource(AnswerMax);
            _connection ??= await RawConnection.OpenAsync(server.Url, deadline.Token);
            var answer = await _connection.SendAsync(request.ToBytes(), deadline.Token);
            if (!answer.IsKept)
            {
                _connection.Dispose();
                _connection = null;
            }

            return answer;
        }

        /// <summary>All of an answer but what differs between any two: what was sent, ids, times, counters.</summary>
        private string Shape(RawAnswer answer)
        {
            var head = string.Join('\n', answer.Head.Split("\r\n").Where(static line => !Varying().IsMatch(line)));
            var text = $"{head}\n{answer.Text}";
            foreach (var (_, foreign, never) in _spellings.OrderByDescending(static one => one.Foreign.Length))
            {
                text = text.Replace(foreign, "<sent>", StringComparison.OrdinalIgnoreCase)
                    .Replace(never, "<sent>", StringComparison.OrdinalIgnoreCase);
            }

            return Made().Replace(text, "<made>");
        }

        private void Add(string problem)
        {
            if (Problems.Count < ProblemsMax)
            {
                Problems.Add(problem);
            }
        }
    }

    [GeneratedRegex("^(x-request-id|Date|RateLimit|X-RateLimit-[a-z]+|Content-Length|ETag):", RegexOptions.IgnoreCase)]
    private static partial Regex Varying();

    [GeneratedRegex("""
        (agt|agent|conv|task|run|msg|rcpt|key|evt|acct|doc|chk|req|whk)_[0-9A-Z]{26}|whsec_[A-Za-z0-9+/=]+
        |"version":\d+|"run_count":\d+|chatcmpl-[0-9A-Z]{26}|"created":\d+|"signature":"[\w-]+"
        |\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z|"(duration|latency)_ms":\d+|(mesh|afk)_[a-z]+_\w{38}
        |"last_four":"\w+"|made[\ -]\d+|"(balance_usd|balanceUsd|balance_credits|credits_used)":[0-9.]+
        |"(document_count|message_count|total)":\d+|"slug":"[a-z0-9-]*"|"sha256":"\w+"|"(input|output)_tokens":\d+
        |"bytes":\d+|x-mesh-[a-z-]+:\ [0-9.]+|"score":[0-9.]+
        """, RegexOptions.IgnorePatternWhitespace | RegexOptions.IgnoreCase)]
    private static partial Regex Made();

    [GeneratedRegex("""^\{"(data|tasks|messages|runs)":\[\]""")]
    private static partial Regex EmptyList();
}
