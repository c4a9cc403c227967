using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Reeve.Reliability.Simulation;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Webhooks;

namespace Reeve.Reliability.Privacy;

/// <summary>
/// P1: conversations of mixed classes over HTTP, with every byte that reaches a provider or a webhook looked at. The
/// class comes from the request, the agent, a document or an earlier turn; providers fail and break off, clients go
/// away. Nothing may reach who may not have it, personal data of a protected run must be masked there, and the caller
/// must get his own words back.
/// </summary>
internal sealed class PrivacyHarness : IAsyncDisposable
{
    private const int Workers = 8;
    private static readonly PrivacyMarks Keeps = new(false, false, false);
    private static readonly PrivacyMarks Forgets = new(true, false, false);
    private static readonly PrivacyMarks Own = new(true, true, false);
    private static readonly PrivacyClass[] Classes = Enum.GetValues<PrivacyClass>();
    private static readonly string[] Gaps = [" ", ", ", "\n", " and ", "; ", " (", ") ", ": "];
    private static readonly string[] Words =
        ["the rule", "of the harbour", "says", "[EMAIL_1]", "[", "Grüße", "東京", "12", "\"quoted\"", "\\", "🦊", "[E"];

    private readonly PrivacyJudge _judge = new();
    private readonly ulong _seed;
    private readonly List<RecordingModel> _models = [];
    private readonly List<(string Id, PrivacyClass Class)> _agents = [];
    private readonly Dictionary<int, int> _statuses = [];
    private TestServer _server = null!;
    private WebhookReceiver _receiver = null!;
    private int _next;
    private int _runs;
    private int _whole;

    private PrivacyHarness(ulong seed) => _seed = seed;

    internal static async Task<Score> RunAsync(Trial trial)
    {
        await using var harness = new PrivacyHarness(trial.Seed);
        await harness.StartAsync(Keeps, Forgets);
        return await harness.TryAsync(trial.Count(test: 500, ci: 2_000, bench: 10_000), trial);
    }

    /// <summary>The same, where the operator says of a provider what is not true of it.</summary>
    internal static async Task<Score> RunWithAHoleAsync(Trial trial, bool ofClasses)
    {
        await using var harness = new PrivacyHarness(trial.Seed);
        await harness.StartAsync(ofClasses ? Own : Keeps, ofClasses ? Forgets : Own);
        return await harness.TryAsync(60, trial);
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

        _models.ForEach(static model => model.Dispose());
    }

    private async Task StartAsync(PrivacyMarks first, PrivacyMarks second)
    {
        _receiver = await WebhookReceiver.StartAsync();
        _receiver.Answer = (received, _) =>
        {
            _judge.Look("a webhook", Encoding.UTF8.GetBytes(received.Body), Own, isOwners: true);
            return Task.FromResult(200);
        };
        ProviderOptions[] providers =
        [
            Provider("keeps", 1, Keeps, first), Provider("forgets", 2, Forgets, second), Provider("own", 3, Own, Own),
        ];
        _server = await TestServer.StartAsync(known => known with
        {
            Egress = _receiver.Allowed,
            Inference = new InferenceOptions { Providers = providers },
            Limits = known.Limits with { EnterpriseRequestsPerMinute = 10_000_000 },
        }, static builder => builder.Logging.ClearProviders(), realTime: true);
        foreach (var provider in providers)
        {
            // They fail again and again here, and are to be asked each time.
            _server.Service<ProviderHealth>().Of(provider.Name).Settings = new ProviderSettings { ErrorRate = 1 };
        }

        await PostAsync("/v1/webhooks", Json(("url", $"{_receiver.Url}hook"),
            ("events", new JsonArray("run.completed", "run.failed"))));
        await MakeAgentsAsync();
    }

    private ProviderOptions Provider(string name, decimal price, PrivacyMarks truth, PrivacyMarks said)
    {
        var model = new RecordingModel(name, _judge, truth, new SimRandom(_seed + (ulong)_models.Count));
        _models.Add(model);
        return new ProviderOptions
        {
            Name = name,
            Kind = ProviderKinds.OpenAI,
            BaseUrl = model.Url,
            ZeroRetention = said.ZeroRetention,
            OperatorRun = said.OperatorRun,
            Models =
            [
                new Model
                {
                    Id = $"mesh/{name}",
                    Provider = name,
                    Upstream = name,
                    ContextTokens = 128_000,
                    OutputTokensMax = 4_096,
                    Quality = 50,
                    InputUsdPerMillion = price / 1_000,
                    OutputUsdPerMillion = price / 1_000,
                    Capabilities = new HashSet<string>(Capabilities.Words),
                },
                new Model
                {
                    Id = "mesh/vectors",
                    Provider = name,
                    Upstream = "vectors",
                    ContextTokens = 32_000,
                    OutputTokensMax = 32_000,
                    InputUsdPerMillion = price / 1_000,
                    OutputUsdPerMillion = 0,
                    Capabilities = new HashSet<string>(Capabilities.EmbeddingWords),
                },
            ],
        };
    }

    /// <summary>Of every class, without documents and with one of every class, with the tool and without.</summary>
    private async Task MakeAgentsAsync()
    {
        var random = new SimRandom(_seed);
        foreach (var ofAgent in Classes)
        {
            foreach (var ofDocument in Classes.Cast<PrivacyClass?>().Append(null))
            {
                foreach (var withTool in (bool[])[false, true])
                {
                    if (ofDocument is null && withTool)
                    {
                        continue;
                    }

                    var made = await PostAsync("/v1/agents", Json(("name", "Desk"), ("model", "auto"),
                        ("instructions", "You answer {{user.name}} of desk."), ("privacy_class", ofAgent.Word()),
                        ("conversation_limit", 1_000_000), ("midstream_fallback", true),
                        ("tools", withTool ? new JsonArray(Json(("name", "knowledge"), ("type", "builtin")))
                            : new JsonArray())));
                    var id = made.GetProperty("id").GetString()!;
                    _agents.Add((id, ofAgent));
                    if (ofDocument is { } privacyClass)
                    {
                        await AddDocumentAsync(id, privacyClass, random);
                    }
                }
            }
        }
    }

    private async Task AddDocumentAsync(string agent, PrivacyClass privacyClass, SimRandom random)
    {
        var data = ImmutableList<string>.Empty;
        var mark = NewMark();
        var text = $"The rule of the harbour says {mark}: {Say(random, mark, ref data, "")}";
        _judge.Expect(new PrivateTurn(mark, privacyClass, data));
        var made = await PostAsync($"/v1/agents/{agent}/documents", Json(("name", "Rules of the harbour"),
            ("text", text), ("privacy_class", privacyClass.Word())));
        await Eventually.TrueAsync(async () => (await _server.Client.GetAsync(
            $"/v1/documents/{made.GetProperty("id").GetString()}")).Json.GetProperty("status").GetString() == "ready");
    }

    private async Task<Score> TryAsync(int count, Trial trial)
    {
        var begun = 0;
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Increment(ref begun) is var number && number <= count && _judge.Problems.Count == 0)
            {
                await ConverseAsync(new SimRandom(_seed ^ ((ulong)number << 20)));
                if (number % 1_000 == 0)
                {
                    trial.Log($"{number} conversations, {_judge.Bytes} bytes looked at");
                }
            }
        })));
        await Eventually.TrueAsync(async () => (await _server.Client.GetAsync("/v1/runs?status=running&limit=1")).Json
            .GetProperty("data").GetArrayLength() == 0);
        if (_judge.Problems.Count == 0 && (_judge.Masked == 0 || _judge.Requests(PrivacyClass.Standard) == 0
            || _judge.Requests(PrivacyClass.PrivateGateway) == 0 || _whole == 0 || _receiver.Received.Count == 0))
        {
            _judge.Complain("something was never asked: there was no test");
        }

        return new Score(count, string.Create(CultureInfo.InvariantCulture,
            $"{_runs:N0} runs, {string.Join(", ", _statuses.OrderBy(static one => one.Key)
                .Select(static one => $"{one.Value} × {one.Key}"))}; {_judge.Bytes / 1_000_000.0:N1} MB looked at on "
            + $"every socket, {string.Join(", ", Classes.Select(one => $"{_judge.Requests(one)} {one.Word()}"))}; "
            + $"{_judge.Masked:N0} masked; {_whole:N0} answers compared with what was said; "
            + $"{_models.Sum(static one => one.Faults):N0} faults of providers"), [.. _judge.Problems]);
    }

    private async Task ConverseAsync(SimRandom random)
    {
        var (agent, least) = random.Pick(_agents);
        var name = $"Zor{random.Below(1_000_000)}ba Quill";
        var data = ImmutableList.Create(name.Split(' ')[0]);
        string? conversation = null;
        for (var turns = 1 + random.Below(3); turns > 0; turns--)
        {
            // Most raise nothing: else everything would be confidential.
            var asked = random.Chance(60) ? PrivacyClass.Standard : random.Pick(Classes);
            least = PrivacyClasses.Stricter(least, asked);
            if (conversation is not null && random.Chance(15))
            {
                var fork = await _server.Client.PostAsync($"/v1/conversations/{conversation}/fork", "{}");
                conversation = fork.Status == 201 ? fork.Json.GetProperty("id").GetString() : conversation;
            }

            var mark = NewMark();
            var input = Say(random, mark, ref data, name);
            _judge.Expect(new PrivateTurn(mark, least, data));
            if (random.Chance(25))
            {
                await ChatAsync(random, mark, input, data, name);
                await EmbedAsync(random, input, data, name);
                return; // It has no conversation to go on with.
            }

            (conversation, least) = await RunAsync(
                random, agent, conversation, mark, input, asked, least, name);
            if (conversation is null)
            {
                return;
            }
        }
    }

    private async Task<(string? Conversation, PrivacyClass Class)> RunAsync(
        SimRandom random, string agent, string? conversation, string mark, string input, PrivacyClass asked,
        PrivacyClass least, string name)
    {
        var body = Json(("agent", agent), ("input", input), ("user", Json(("id", "u-1"), ("name", name))));
        if (asked != PrivacyClass.Standard)
        {
            body["privacy_class"] = asked.Word();
        }

        if (conversation is not null)
        {
            body["conversation_id"] = conversation;
        }

        Interlocked.Increment(ref _runs);
        var isStream = random.Chance(60);
        var text = await SendAsync("/v1/agents/runs" + (isStream ? "?stream=true" : ""), body,
            isStream && random.Chance(15) ? random.Below(2_000) : int.MaxValue);
        var at = text.IndexOf("run_0", StringComparison.Ordinal);
        if (at < 0 || text.Length < at + 30)
        {
            return (null, least);
        }

        var id = text.Substring(at, 30);
        JsonElement run;
        do
        {
            run = (await _server.Client.GetAsync($"/v1/runs/{id}")).Json;
        }
        while (run.GetProperty("status").GetString() is "queued" or "running");
        var found = PrivacyClasses.Parse(run.GetProperty("privacy_class").GetString()!);
        if (found < least)
        {
            _judge.Complain($"{id} is {found.Word()}, and was to be {least.Word()} at least");
        }

        var receipt = await _server.Client.GetAsync($"/v1/runs/{id}/receipt");
        if (receipt.Text.Contains(mark, StringComparison.Ordinal))
        {
            _judge.Complain($"the receipt of {id} holds content: {receipt.Text}");
        }

        if (run.GetProperty("status").GetString() == "completed"
            && receipt.Json.GetProperty("provider").GetString() is "keeps" or "forgets" or "own")
        {
            Compare(id, input, run.GetProperty("output").GetString()!);
        }

        return (run.GetProperty("conversation_id").GetString(), found);
    }

    /// <summary>Personal data in every member of a chat that can hold some.</summary>
    private async Task ChatAsync(
        SimRandom random, string mark, string input, ImmutableList<string> data, string name)
    {
        var asked = random.Pick(Classes);
        var email = PersonalSamples.Email(random, Unique(random)).Replace("\"", "", StringComparison.Ordinal)
            .Replace(" lee", "lee", StringComparison.Ordinal);
        var card = PersonalSamples.Card(new SimRandom(random.Next())).Where(char.IsDigit).Select(
            static one => (char)('0' + (int)char.GetNumericValue(one))).ToArray();
        data = [.. data.Where(one => !string.Equals(one, name.Split(' ')[0], StringComparison.Ordinal)), email,
            new string(card)]; // A chat does not say what its user is called.
        _judge.Expect(new PrivateTurn(mark, asked, data));
        var cut = random.Below(input.Length);
        cut += char.IsLowSurrogate(input[cut]) ? 1 : 0;
        var messages = new JsonArray(Json(("role", "system"), ("content", $"Write to {email} {mark}")));
        var withTool = random.Chance(50);
        if (withTool)
        {
            messages.Add(Json(("role", "user"), ("content", "Look it up.")));
            messages.Add(Json(("role", "assistant"), ("content", null), ("tool_calls", new JsonArray(Json(
                ("id", $"c {email}"), ("type", "function"), ("function", Json(("name", "look_up"),
                    ("arguments", $"{{\"to\":\"{email}\",\"card\":{new string(card)}}}"))))))));
            messages.Add(Json(("role", "tool"), ("tool_call_id", $"c {email}"),
                ("content", $"{{\"from\":\"{email}\",\"card\":{new string(card)}}}")));
        }

        messages.Add(Json(("role", "user"), ("content", new JsonArray(
            Json(("type", "text"), ("text", input[..cut])), Json(("type", "text"), ("text", input[cut..]))))));
        var isStream = random.Chance(50);
        var body = Json(("model", "auto"), ("messages", messages), ("stream", isStream), ("user", email),
            ("stop", new JsonArray($"stop {email}")), ("metadata", Json(("to", email))),
            (random.Chance(50) ? "privacy_class" : "privacy", null));
        _ = body.ContainsKey("privacy") ? body["privacy"] = Json(("class", asked.Word()))
            : body["privacy_class"] = asked.Word();
        if (withTool)
        {
            body["tools"] = new JsonArray(Json(("type", "function"), ("function", Json(("name", "look_up"),
                ("description", $"of {email}"), ("parameters", Json(("type", "object"),
                    ("properties", Json((email, Json(("const", email)))))))))));
        }

        Interlocked.Increment(ref _runs);
        var text = await SendAsync("/v1/chat/completions", body,
            isStream && random.Chance(15) ? random.Below(1_000) : int.MaxValue);
        if (!isStream && text.StartsWith("{\"id\":\"chatcmpl", StringComparison.Ordinal))
        {
            var answer = JsonElement.Parse(text);
            if (answer.GetProperty("model").GetString()!.StartsWith("mesh/", StringComparison.Ordinal))
            {
                Compare(mark, input, answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content")
                    .GetString()!);
            }
        }
    }

    /// <summary>Texts that become vectors, of which a provider sees as much as of a chat.</summary>
    private async Task EmbedAsync(SimRandom random, string input, ImmutableList<string> data, string name)
    {
        var (mark, asked) = (NewMark(), random.Pick(Classes));
        _judge.Expect(new PrivateTurn(mark, asked,
            data.RemoveAll(one => string.Equals(one, name.Split(' ')[0], StringComparison.Ordinal))));
        var said = input[(input.IndexOf('z', StringComparison.Ordinal) + 1)..]; // Without the mark of another class.
        Interlocked.Increment(ref _runs);
        await SendAsync("/v1/embeddings", Json(("model", "mesh/vectors"), ("privacy_class", asked.Word()),
            ("input", new JsonArray($"{mark}{said}", $"{said} {mark}"))), int.MaxValue);
    }

    /// <summary>The model said back what was said last, and it must be that again, letter by letter.</summary>
    private void Compare(string run, string input, string output)
    {
        var begin = input.IndexOf(RecordingModel.Begin, StringComparison.Ordinal) + RecordingModel.Begin.Length;
        var said = input[begin..input.LastIndexOf(RecordingModel.End, StringComparison.Ordinal)];
        Interlocked.Increment(ref _whole);
        if (output != said + RecordingModel.Tail)
        {
            _judge.Complain($"{run} said {output} in the place of {said}{RecordingModel.Tail}");
        }
    }

    /// <summary>Sends it and reads at most so much of the answer, then goes away.</summary>
    private async Task<string> SendAsync(string path, JsonObject body, int charactersMax)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        using var answer = await _server.Client.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        lock (_statuses)
        {
            var status = (int)answer.StatusCode;
            _statuses[status] = _statuses.GetValueOrDefault(status) + 1;
        }

        if (answer.StatusCode is not (HttpStatusCode.OK or HttpStatusCode.UnprocessableEntity
            or HttpStatusCode.ServiceUnavailable))
        {
            _judge.Complain($"{path}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
        }

        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(), Encoding.UTF8);
        if (charactersMax == int.MaxValue)
        {
            return await reader.ReadToEndAsync();
        }

        var buffer = new char[charactersMax];
        return new string(buffer, 0, await reader.ReadBlockAsync(buffer));
    }

    /// <summary>Something to say with a mark and personal data in it, which joins <paramref name="data"/>.</summary>
    private static string Say(SimRandom random, string mark, ref ImmutableList<string> data, string name)
    {
        var text = new StringBuilder("What is the rule of the harbour? ").Append(RecordingModel.Begin).Append(mark);
        for (var pieces = random.Below(9); pieces > 0; pieces--)
        {
            var piece = random.Below(8) switch
            {
                0 => PersonalSamples.Email(random, Unique(random)),
                1 => PersonalSamples.Phone(random),
                2 => PersonalSamples.Card(random),
                3 => PersonalSamples.Account(random),
                4 => PersonalSamples.Address(random),
                _ => "",
            };
            if (piece.Length > 0)
            {
                data = data.Add(piece);
            }
            else
            {
                piece = name.Length > 0 && random.Chance(30)
                    ? random.Chance(50) ? name : name.Split(' ')[0].ToUpperInvariant() : random.Pick(Words);
            }

            text.Append(random.Pick(Gaps)).Append(piece);
        }

        return text.Append(random.Pick(Gaps)).Append(RecordingModel.End).ToString();
    }

    private static string Unique(SimRandom random) => string.Create(CultureInfo.InvariantCulture,
        $"p{random.Below(1_000_000)}q");

    private string NewMark() => string.Create(CultureInfo.InvariantCulture,
        $"mk{Interlocked.Increment(ref _next)}t{_seed % 1_000}z");

    private async Task<JsonElement> PostAsync(string path, JsonObject body)
    {
        var answer = await _server.Client.PostAsync(path, body.ToJsonString());
        Assert.True(answer.Status is 201 or 202, answer.Text);
        return answer.Json;
    }

    private static JsonObject Json(params (string Name, JsonNode? Value)[] members)
    {
        var value = new JsonObject();
        foreach (var (name, node) in members)
        {
            value[name] = node;
        }

        return value;
    }
}
