using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Reeve.Server;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Storage;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Process;
using Reeve.Server.Tests.Runs;
using Reeve.Server.Tests.Webhooks;

namespace Reeve.Reliability.Privacy;

/// <summary>
/// R17: secrets planted in every place that holds one, and in wrong places, and then looked for in all that the server
/// writes down or shows: its log at the finest level, answers, webhooks, requests to providers, files, commands.
/// </summary>
internal sealed class CanaryHarness : IAsyncDisposable
{
    private static readonly string[] Failures = ["refuse", "reject", "break", "babble", "redirect", "stumble"];

    private static readonly string[] Exports =
    [
        "/v1/logs", "/v1/monitoring/summary", "/v1/usage", "/v1/ledger", "/v1/providers/config",
        "/v1/providers/health", "/v1/models", "/v1/api-keys", "/v1/accounts", "/v1/accounts/me", "/v1/attestation",
        "/.well-known/reeve-keys.json", "/healthz", "/readyz", "/openapi.yaml", "/metrics",
    ];

    private static readonly string[] Owned =
    [
        "/v1/runs", "/v1/conversations", "/v1/agents", "/v1/webhooks", "/v1/api-keys", "/v1/logs", "/v1/usage",
        "/v1/ledger", "/v1/monitoring/summary", "/v1/accounts/me",
    ];

    private readonly Canaries _canaries;
    private readonly List<string> _conversations = [];
    private readonly List<string> _runIds = [];
    private readonly List<string> _documents = [];
    private EchoingProvider _keeps = null!;
    private EchoingProvider _forgets = null!;
    private ScriptedChatClient _inside = null!;
    private WebhookReceiver _receiver = null!;
    private TestServer _server = null!;
    private string _webhook = "";
    private string _agent = "";

    private CanaryHarness(Canaries canaries) => _canaries = canaries;

    internal static Task<Score> RunAsync(Trial trial) => RunAsync(new Canaries(), trial);

    /// <summary>As the other, with canaries of the caller's beside the harness's own.</summary>
    internal static async Task<Score> RunAsync(Canaries canaries, Trial trial)
    {
        await using (var harness = new CanaryHarness(canaries))
        {
            await harness.UseAsync();
        }

        trial.Log($"{canaries.Count} canaries in the server; now the process");
        await CanaryProcess.UseAsync(canaries);
        return new Score(canaries.Count, string.Create(CultureInfo.InvariantCulture,
            $"{canaries.Count} secrets in {canaries.Searches} places, {canaries.Bytes / 1_000_000.0:N1} MB of them"),
            [.. canaries.Problems]);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        if (_receiver is not null)
        {
            await _receiver.DisposeAsync();
        }

        _inside?.Dispose();
        _keeps?.Dispose();
        _forgets?.Dispose();
    }

    private async Task UseAsync()
    {
        var (master, folder) = (RandomNumberGenerator.GetBytes(MasterKey.Length), TestServer.NewFolder());
        _canaries.Add("the master key", master);
        try
        {
            await StartAsync(folder, Convert.ToBase64String(master));
            await UseKeysAsync();
            await UseWebhookAsync();
            await UseStandardAsync();
            await UseProtectedAsync();
            await UseConfidentialAsync();
            await UseChatAsync();
            await EmbedAsync();
            await SendNonsenseAsync();
            await ShowAsync();
            await _receiver.ReceivedAsync(5);
            PlantKeys(master);
            await _server.StopAsync();
            _server = null!;
            SearchFolder(_canaries, folder);
            await RunCommandsAsync(folder, Convert.ToBase64String(master));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task StartAsync(string folder, string master)
    {
        var said = _canaries.New("what a model says", Canaries.Content);
        _keeps = new EchoingProvider(said, text => _canaries.Search(Sinks.Provider, "a request to a provider", text));
        _forgets = new EchoingProvider(said, text => _canaries.Search(Sinks.Provider, "a request to a provider", text));
        _inside = new ScriptedChatClient();
        _receiver = await WebhookReceiver.StartAsync();
        var answer = _canaries.New("what the receiver of a webhook answers");
        _receiver.Answer = (received, context) =>
        {
            _canaries.Search(Sinks.Webhook, "a webhook", received.Body + string.Join('\n', received.Headers));
            context.Response.Headers["x-answer"] = answer;
            return Task.FromResult(200);
        };
        _server = await TestServer.StartAsync(known => known with
        {
            Egress = _receiver.Allowed,
            Inference = new InferenceOptions
            {
                Providers = [Provider("keeps", _keeps.Url, false), Provider("forgets", _forgets.Url, true)],
            },
        }, builder =>
        {
            builder.Logging.ClearProviders();
            builder.Logging.SetMinimumLevel(LogLevel.Trace); // The server's own bound for the framework stays.
            builder.Logging.AddProvider(new CanaryLog(_canaries));
            _inside.AddTo(builder, ScriptedChatClient.Model("mesh/inside-1"), PrivacyMarks.Process);
        }, folder: folder, realTime: true, masterKey: master);
        foreach (var name in (string[])["keeps", "forgets"])
        {
            _server.Service<ProviderHealth>().Of(name).Settings = new ProviderSettings { ErrorRate = 1 };
        }

        _canaries.Add("the first admin key", TestServer.AdminKey);
    }

    private ProviderOptions Provider(string name, Uri url, bool forgets) => new()
    {
        Name = name,
        Kind = ProviderKinds.OpenAI,
        BaseUrl = url,
        ApiKey = new Secret(_canaries.New($"the key of the provider {name}", Sinks.Provider)),
        ZeroRetention = forgets,
        Models =
        [
            new Model
            {
                Id = $"mesh/{name}-1",
                Provider = name,
                Upstream = name,
                ContextTokens = 128_000,
                OutputTokensMax = 4_096,
                InputUsdPerMillion = 1,
                OutputUsdPerMillion = 1,
                Capabilities = new HashSet<string>(Capabilities.Words),
            },
            new Model
            {
                Id = "mesh/vectors",
                Provider = name,
                Upstream = "vectors",
                ContextTokens = 32_000,
                OutputTokensMax = 32_000,
                InputUsdPerMillion = 1,
                OutputUsdPerMillion = 0,
                Capabilities = new HashSet<string>(Capabilities.EmbeddingWords),
            },
        ],
    };

    private async Task UseKeysAsync()
    {
        var made = (await _server.NewKeyAsync("\"scopes\":[\"chat\",\"agents\",\"usage\"]"),
            await _server.NewKeyAsync("\"scopes\":[\"chat\"]"));
        _canaries.Add("an API key", made.Item1);
        _canaries.Add("another API key", made.Item2);
        await CallAsync("GET", $"/v1/runs?api_key={made.Item1}", null);
        await CallAsync("GET", $"/v1/runs?limit={made.Item1}", null);
        await CallAsync("POST", $"/v1/agents/runs?key={made.Item1}", "{}");
        await CallAsync("GET", $"/v1/runs/{made.Item1}", null);
        await CallAsync("GET", $"/v1/{made.Item1}", null);
        await CallAsync("DELETE", $"/v1/api-keys/{made.Item1}", null);
        await CallAsync("POST", "/v1/chat/completions", $$"""{"api_key":"{{made.Item1}}","model":"{{made.Item1}}"}""");
        await CallAsync("GET", "/v1/runs", null, ("x-api-key", made.Item1), ("api-key", made.Item2));
        await CallAsync("GET", "/v1/runs", null, ("Cookie", "key=" + _canaries.New("a cookie")));
        await CallAsync("GET", "/v1/runs", null, ("x-request-id", _canaries.New("a request id of the caller's")));
        using var other = _server.ClientFor(null);
        foreach (var header in (string[])
        [
            $"Basic {_canaries.New("a password")}", $"Bearer mesh_live_{_canaries.New("a mistyped key")}",
            _canaries.New("a scheme"), $"Bearer {made.Item1}x", $"Bearer {made.Item1} {made.Item2}",
        ])
        {
            var answer = await other.SendAsync("GET", "/v1/runs", null, ("Authorization", header));
            Assert.Equal(401, answer.Status);
            _canaries.Search(Sinks.Error, "an answer to a wrong key", answer.Text + answer.Message.Headers);
        }
    }

    private async Task UseWebhookAsync()
    {
        var token = _canaries.New("the token in the address of a webhook", Sinks.Answer | Sinks.Folder);
        var made = await _server.Client.PostAsync("/v1/webhooks",
            $$"""{"url":"{{_receiver.Url}}hook?token={{token}}","events":["run.completed","run.failed"]}""");
        Assert.True(made.Status == 201, made.Text);
        _webhook = made.Json.GetProperty("id").GetString()!;
        AddSecret("the secret of a webhook", made.Json);
        AddSecret("the newer secret of a webhook",
            (await _server.Client.PostAsync($"/v1/webhooks/{_webhook}/rotate", "{}")).Json);
    }

    private void AddSecret(string name, JsonElement webhook)
    {
        var secret = webhook.GetProperty("secret").GetString()!;
        _canaries.Add(name, secret);
        _canaries.Add($"{name}, its bytes", Convert.FromBase64String(secret["whsec_".Length..]));
    }

    private async Task UseStandardAsync()
    {
        _agent = await NewAgentAsync("mesh/keeps-1", "standard",
            _canaries.New("the instructions of an agent", Canaries.Content & ~Sinks.Webhook));
        var members = $$"""
            "user":{"id":"{{_canaries.New("the id of a user", Sinks.Answer | Sinks.Webhook | Sinks.Folder)}}",
             "name":"{{_canaries.New("the name of a user", Sinks.Answer | Sinks.Webhook | Sinks.Folder)}}",
             "metadata":{"a":"{{_canaries.New("metadata of a user", Sinks.Answer | Sinks.Webhook | Sinks.Folder)}}"} },
            "metadata":{"b":"{{_canaries.New("metadata of a run", Sinks.Answer | Sinks.Webhook | Sinks.Folder)}}"},
            "input":"{{_canaries.New("what a user says", Canaries.Content)}}
            """;
        await RunAsync(_agent, members.TrimEnd() + "\"");
        foreach (var failure in Failures)
        {
            await RunAsync(_agent, $"{members.TrimEnd()} please {failure}\"");
            await RunAsync(_agent, $"{members.TrimEnd()} please {failure}\"", stream: true);
        }
    }

    private async Task UseProtectedAsync()
    {
        var agent = await NewAgentAsync("mesh/forgets-1", "protected", "Help {{user.name}}.");
        var owners = Canaries.Content & ~Sinks.Provider;
        var name = _canaries.New("the name of a protected user", owners);
        var members = $$"""
            "user":{"id":"u","name":"{{name}}"},
            "input":"I am {{name}}, {{_canaries.New("a protected address", owners)}}@x.io, +47 2233{{Number(6)}}.
            """.TrimEnd();
        await RunAsync(agent, members + "\"");
        await RunAsync(agent, members + "\"", stream: true);
        foreach (var failure in Failures)
        {
            await RunAsync(agent, $"{members} please {failure}\"", stream: true);
        }

        string Number(int digits)
        {
            var number = RandomNumberGenerator.GetInt32((int)Math.Pow(10, digits - 1), (int)Math.Pow(10, digits))
                .ToString(CultureInfo.InvariantCulture);
            _canaries.Add("a protected number", $"2233{number}", owners);
            return number;
        }
    }

    private async Task UseConfidentialAsync()
    {
        var agent = await NewAgentAsync("mesh/inside-1", "confidential", "You help.",
            ",\"tools\":[{\"name\":\"knowledge\",\"type\":\"builtin\"}]");
        var document = _canaries.New("the text of a confidential document", Sinks.Answer);
        var added = await _server.Client.PostAsync($"/v1/agents/{agent}/documents", $$"""
            {"privacy_class":"confidential",
             "name":"{{_canaries.New("the name of a confidential document", Sinks.Answer)}}",
             "text":"The harbour has the rule {{document}}.","metadata":{"c":"{{_canaries.New(
                "metadata of a confidential document", Sinks.Answer)}}"} }
            """);
        Assert.True(added.Status is 201 or 202, added.Text);
        _documents.Add(added.Json.GetProperty("id").GetString()!);
        await Eventually.TrueAsync(async () => (await _server.Client.GetAsync($"/v1/documents/{_documents[0]}")).Json
            .GetProperty("status").GetString() == "ready");
        var said = _canaries.New("what a model says in confidence", Sinks.Answer);
        var argument = _canaries.New("the argument of a tool in confidence", Sinks.Answer);
        var members = $$"""
            "user":{"id":"{{_canaries.New("the id of a confidential user", Sinks.Answer | Sinks.Folder)}}",
             "name":"{{_canaries.New("the name of a confidential user", Sinks.Answer)}}"},
            "metadata":{"d":"{{_canaries.New("metadata of a confidential run", Sinks.Answer)}}"},
            "input":"The harbour? {{_canaries.New("what a user says in confidence", Sinks.Answer)}}"
            """;
        for (var i = 0; i < 2; i++)
        {
            _inside.Reply(ScriptedChatClient.Call("knowledge-search", $"{{\"query\":\"harbour {argument}\"}}"))
                .Reply(said[..9], said[9..]);
            await RunAsync(agent, members, stream: i == 1);
        }

        _inside.Reply(new ProviderException(ProviderFault.Malformed, "It broke."));
        await RunAsync(agent, members);
        _inside.Reply(new InvalidOperationException("A fault of ours."));
        await RunAsync(agent, members);
        var conversation = _conversations[^1];
        await CallAsync("PATCH", $"/v1/conversations/{conversation}",
            $$"""{"title":"{{_canaries.New("the title of a confidential conversation", Sinks.Answer)}}"}""");
        await CallAsync("POST", $"/v1/conversations/{conversation}/fork", "{}");
    }

    private async Task UseChatAsync()
    {
        foreach (var (model, privacyClass, allowed) in ((string, string, Sinks)[])
        [
            ("mesh/keeps-1", "standard", Canaries.Content), ("mesh/inside-1", "confidential", Sinks.Answer),
        ])
        {
            string New(string what, Sinks more = Sinks.None) =>
                _canaries.New($"{what} of a chat that is {privacyClass}", allowed | more);
            _inside.Reply(_canaries.New($"the answer of a chat that is {privacyClass}", allowed));
            var body = $$"""
                {"model":"{{model}}","privacy_class":"{{privacyClass}}","user":"{{New("the user", Sinks.Folder)}}",
                 "metadata":{"e":"{{New("metadata")}}"},"stop":["{{New("a stop")}}"],"messages":[
                 {"role":"system","content":"{{New("the system's message")}}"},
                 {"role":"user","content":"{{New("a question")}}"},
                 {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":
                  {"name":"look","arguments":"{\"a\":\"{{New("an argument")}}\"}"} }]},
                 {"role":"tool","tool_call_id":"c1","content":"{{New("the result of a tool")}}"}],
                 "tools":[{"type":"function","function":{"name":"look","description":"{{New("a tool")}}"} }]
                """;
            await CallAsync("POST", "/v1/chat/completions", body + "}");
            await CallAsync("POST", "/v1/chat/completions", body + ",\"stream\":true}");
        }
    }

    private async Task EmbedAsync()
    {
        foreach (var privacyClass in (string[])["standard", "confidential"])
        {
            var text = _canaries.New($"a text of embeddings that are {privacyClass}",
                privacyClass == "standard" ? Sinks.Provider : Sinks.None);
            await CallAsync("POST", "/v1/embeddings", $$"""
                {"model":"mesh/vectors","privacy_class":"{{privacyClass}}","input":["{{text}}"]}
                """);
        }
    }

    /// <summary>What a server may say back when it explains what is wrong with it.</summary>
    private async Task SendNonsenseAsync()
    {
        var content = _canaries.New("what stands in a body that is wrong");
        foreach (var body in (string[])
        [
            $$"""{"agent":"{{_agent}}","input":"{{content}}""", $$"""{"agent":"{{content}}","input":"Hi"}""",
            $$"""{"agent":"{{_agent}}","input":"Hi","privacy_class":"{{content}}"}""",
            $$"""{"agent":"{{_agent}}","input":"Hi","conversation_id":"{{content}}"}""",
            $$"""{"agent":"{{_agent}}","input":"Hi","on_busy":"{{content}}","user":{"id":{"a":"{{content}}"} } }""",
            $$"""{"agent":"{{_agent}}","input":["{{content}}"]}""", $"[\"{content}\"]", content,
            $$"""{"agent":"{{_agent}}","input":"{{content}}","input":"{{content}}"}""",
            $$"""{"agent":"{{_agent}}","input":"Hi","output_schema":{"type":"{{content}}"} }""",
            $$"""{"agent":"{{_agent}}","input":"Hi","output_schema":{"pattern":"({{content}}"} }""",
        ])
        {
            await CallAsync("POST", "/v1/agents/runs", body);
            await CallAsync("POST", "/v1/chat/completions", body);
            await CallAsync("POST", "/v1/webhooks", body);
            await CallAsync("POST", "/v1/agents", body);
            await CallAsync("POST", "/v1/receipts/verify", body);
        }
    }

    private async Task ShowAsync()
    {
        await CallAsync("GET", $"/v1/webhooks/{_webhook}", null);
        await CallAsync("GET", $"/v1/webhooks/{_webhook}/deliveries", null);
        foreach (var path in Exports.Concat(_runIds.Select(static run => $"/v1/runs/{run}/receipt")))
        {
            var answer = await _server.Client.GetAsync(path);
            _canaries.Search(Sinks.Export, path, answer.Text);
        }

        var made = await _server.Client.PostAsync("/v1/accounts", """{"name":"Other","plan":"enterprise"}""");
        Assert.True(made.Status == 201, made.Text);
        using var other = _server.ClientFor(made.Json.GetProperty("key").GetString());
        foreach (var path in Owned.Concat(_runIds.Select(static one => $"/v1/runs/{one}"))
            .Concat(_conversations.Select(static one => $"/v1/conversations/{one}/messages"))
            .Concat(_documents.Select(static one => $"/v1/documents/{one}")).Append($"/v1/agents/{_agent}"))
        {
            _canaries.Search(Sinks.Others, path, (await other.GetAsync(path)).Text);
        }
    }

    /// <summary>What derives from the master key; files alone are looked at after it is known.</summary>
    private void PlantKeys(byte[] master)
    {
        var key = MasterKey.Parse(Encoding.ASCII.GetBytes(Convert.ToBase64String(master)));
        var (keys, _) = _server.Database.Read(session => KeyRing.Read(session, key));
        foreach (var one in keys)
        {
            _canaries.Add($"the private key ({one.Use})", one.PrivateKey(key));
        }
    }

    private async Task RunCommandsAsync(string folder, string master)
    {
        foreach (var command in (string[][])
        [
            ["verify", "--data", folder], ["audit", "checkpoints", "--data", folder],
            ["receipts", "rotate-keys", "--data", folder], ["doctor", "--data", folder],
            ["verify", "--data", folder],
        ])
        {
            var (_, output, errors) = await ReeveProcess.RunAsync(folder, command, ("REEVE_MASTER_KEY", master));
            _canaries.Search(Sinks.Log, $"what {string.Join(' ', command[..^2])} prints", output + errors);
        }
    }

    private async Task<string> NewAgentAsync(string model, string privacyClass, string instructions, string more = "")
    {
        var made = await _server.Client.PostAsync("/v1/agents", $$"""
            {"name":"Desk","model":"{{model}}","privacy_class":"{{privacyClass}}","instructions":"{{instructions}}"
             {{more}}}
            """);
        Assert.True(made.Status == 201, made.Text);
        return made.Json.GetProperty("id").GetString()!;
    }

    private async Task RunAsync(string agent, string members, bool stream = false)
    {
        var text = await CallAsync("POST", stream ? "/v1/agents/runs?stream=true" : "/v1/agents/runs",
            $$"""{"agent":"{{agent}}",{{members}}}""");
        var id = text[text.IndexOf("run_0", StringComparison.Ordinal)..][..30];
        _runIds.Add(id);
        var run = await CallAsync("GET", $"/v1/runs/{id}", null);
        _conversations.Add(JsonElement.Parse(run).GetProperty("conversation_id").GetString()!);
        await CallAsync("GET", $"/v1/runs/{id}/events", null);
        await CallAsync("GET", $"/v1/conversations/{_conversations[^1]}/messages", null);
    }

    private async Task<string> CallAsync(
        string method, string path, string? body, params (string Name, string Value)[] headers)
    {
        var answer = await _server.Client.SendAsync(method, path, body, headers);
        _canaries.Search(answer.Status < 400 ? Sinks.Answer : Sinks.Error, $"the answer to {method} {path}",
            answer.Text + answer.Message.Headers + answer.Message.Content.Headers);
        return answer.Text;
    }

    internal static void SearchFolder(Canaries canaries, string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            canaries.Search(Sinks.Folder, Path.GetFileName(file), File.ReadAllBytes(file));
        }
    }

    /// <summary>Every line of every category, with its values and its exception.</summary>
    private sealed class CanaryLog(Canaries canaries) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            canaries.Search(Sinks.Log, "the log", $"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}
