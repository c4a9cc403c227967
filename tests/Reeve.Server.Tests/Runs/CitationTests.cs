using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Runs;

/// <summary>What an answer says of its sources, and what a strict agent lets through; over both APIs.</summary>
public sealed class CitationTests : IAsyncLifetime
{
    private const string Unknown = "chk_06F756P4FACZVBZ5JCJKSNJMNW";
    private const string Strict = "\"strict_citations\":true";

    private const string Guide = """
        Rooms are ready from three in the afternoon. Guests leave their luggage at the reception.

        Breakfast costs 14 euros and is served in the winter garden.
        """;

    private readonly ScriptedChatClient _model = new();
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() =>
        _server = await TestServer.StartAsync(configure: builder => _model.AddTo(builder));

    public ValueTask DisposeAsync()
    {
        _model.Dispose();
        return _server.DisposeAsync();
    }

    [Fact]
    public async Task Sources_OfARun_HaveIdsAndScoresAndCitationsTheRest()
    {
        var (agent, chunk) = await DeskAsync();
        _model.Reply("Rooms are ready from three in the afternoon, it says.");

        var answer = await AskAsync(agent, "When are rooms ready?");

        var source = Assert.Single(answer.Json.GetProperty("sources").EnumerateArray());
        Assert.Equal(["documentId", "chunkId", "score"], source.EnumerateObject().Select(member => member.Name));
        var citation = await CitationAsync(answer);
        Assert.Equal(chunk, citation.GetProperty("chunkId").GetString());
        Assert.Equal("guide.txt", citation.GetProperty("name").GetString());
        Assert.Equal("Rooms are ready from three in the afternoon.", citation.GetProperty("quote").GetString());
        Assert.Equal(citation.GetProperty("quote").GetString(),
            Guide[citation.GetProperty("start").GetInt32()..citation.GetProperty("end").GetInt32()]);
    }

    [Theory]
    [InlineData("It may rain tomorrow.")]
    [InlineData("Breakfast costs 15 euros and is served in the winter garden.")]
    public async Task Quote_OfAnAnswerThatItsSourceDoesNotSupport_IsNull(string said)
    {
        var (agent, _) = await DeskAsync();
        _model.Reply(said);

        var citation = await CitationAsync(await AskAsync(agent, "What does breakfast cost?"));

        Assert.Equal(JsonValueKind.Null, citation.GetProperty("quote").ValueKind);
        Assert.Equal((0, Guide.Length), (citation.GetProperty("start").GetInt32(),
            citation.GetProperty("end").GetInt32()));
    }

    /// <summary>The piece borders lie in every place of the ids; <c>KNOWN</c> stands for the chunk's id.</summary>
    [Theory]
    [InlineData("From three [KNOWN]. Done.", "From three [KNOWN]. Done.")]
    [InlineData("From three [UNKNOWN]. Done.", "From three. Done.")]
    [InlineData("From three (UNKNOWN), he said.", "From three, he said.")]
    [InlineData("From three [KNOWN, UNKNOWN].", "From three [KNOWN].")]
    [InlineData("From three [UNKNOWN; UNKNOWN].", "From three.")]
    [InlineData("UNKNOWN says three.", "says three.")]
    [InlineData("See UNKNOWN", "See")]
    [InlineData("See [UNKNOWN p. 3]", "See [ p. 3]")]
    [InlineData("See [chk_ and chk_box (check) [ ", "See [chk_ and chk_box (check) [ ")]
    [InlineData("See xchk_06F756P4FACZVBZ5 there.", "See xchk_06F756P4FACZVBZ5 there.")]
    public async Task Id_OfNoSource_IsNeverShown(string said, string shown)
    {
        var (agent, chunk) = await DeskAsync();
        (said, shown) = (Fill(said, chunk), Fill(shown, chunk));
        for (var size = 1; size <= said.Length; size = size < 4 ? size + 1 : size * 3)
        {
            _model.Reply([.. said.Chunk(size).Select(static piece => (object)new string(piece))]);

            var body = await StreamAsync("/v1/agents/runs?stream=true",
                RunTestExtensions.Body(agent, "\"input\":\"When are rooms ready?\""));

            Assert.DoesNotContain(Unknown, body, StringComparison.Ordinal);
            var text = string.Concat(Data(body).Where(static data => data.TryGetProperty("delta", out _))
                .Select(static data => data.GetProperty("delta").GetString()));
            Assert.Equal((size, shown), (size, text));
        }

        _model.Reply(said);
        var json = await AskAsync(agent, "When are rooms ready?");
        var auteryn = await AuterynAsync(agent, "\"stream\":false");
        Assert.Equal(shown, json.Json.GetProperty("output").GetString());
        Assert.Equal(shown, auteryn.Json.GetProperty("output").GetString());
    }

    [Fact]
    public async Task Annotation_OfAChunkThatTheToolFound_IsACitation()
    {
        await using var server = await TestServer.StartAsync(
            configure: builder => _model.AddTo(builder, Model() with { ReportsCitations = true }));
        var (agent, chunk) = await DeskAsync(server);
        _model.Reply(Call("knowledge-search", """{"query":"breakfast"}"""));
        _model.Reply(new TextContent("It costs 14 euros.")
        {
            Annotations =
            [
                new CitationAnnotation { FileId = Unknown, Snippet = "made up" },
                new CitationAnnotation { FileId = chunk, Snippet = "Breakfast costs 14 euros" },
            ],
        });

        var answer = await server.RunAsync(agent, "\"input\":\"xyzzy\"");

        var run = await server.Client.GetAsync($"/v1/runs/{answer.Json.GetProperty("run_id").GetString()}");
        var citation = Assert.Single(run.Json.GetProperty("citations").EnumerateArray());
        Assert.Equal((chunk, "Breakfast costs 14 euros"),
            (citation.GetProperty("chunkId").GetString(), citation.GetProperty("quote").GetString()));
    }

    [Fact]
    public async Task Annotation_WithAQuoteThatIsNotInItsChunk_HasNone()
    {
        await using var server = await TestServer.StartAsync(
            configure: builder => _model.AddTo(builder, Model() with { ReportsCitations = true }));
        var (agent, chunk) = await DeskAsync(server);
        _model.Reply(new TextContent("It may rain.")
        {
            Annotations = [new CitationAnnotation { FileId = chunk, Snippet = "It may rain in the garden." }],
        });

        var answer = await server.RunAsync(agent, "\"input\":\"When are rooms ready?\"");

        var run = await server.Client.GetAsync($"/v1/runs/{answer.Json.GetProperty("run_id").GetString()}");
        Assert.Equal(JsonValueKind.Null, Assert.Single(run.Json.GetProperty("citations").EnumerateArray())
            .GetProperty("quote").ValueKind);
    }

    [Theory]
    [InlineData("Rooms are ready from three in the afternoon.")]
    [InlineData("Guests leave their luggage at the reception [KNOWN]. Yes.")]
    [InlineData("The documents do not answer this.")]
    public async Task Strict_SupportedAnswer_IsShown(string said)
    {
        var (agent, chunk) = await DeskAsync(members: Strict);
        said = Fill(said, chunk);
        _model.Reply([.. said.Chunk(5).Select(static piece => (object)new string(piece))]);
        _model.Reply(said);
        _model.Reply(said);

        var stream = await StreamAsync("/v1/agents/runs?stream=true",
            RunTestExtensions.Body(agent, "\"input\":\"When are rooms ready?\""));
        var json = await AskAsync(agent, "When are rooms ready?");
        var auteryn = await AuterynAsync(agent, "\"stream\":false");

        Assert.Contains("event: run.completed", stream, StringComparison.Ordinal);
        Assert.Equal(said, string.Concat(Data(stream).Where(static data => data.TryGetProperty("delta", out _))
            .Select(static data => data.GetProperty("delta").GetString())));
        Assert.Equal(said, json.Json.GetProperty("output").GetString());
        Assert.Equal(said, auteryn.Json.GetProperty("output").GetString());
        Assert.Contains("do not answer the question, say exactly: The documents do not answer this.",
            _model.Prompts.First()[0].Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Rooms are ready from three in the afternoon. The pool is heated to thirty degrees.")]
    [InlineData("Breakfast costs 15 euros.")]
    [InlineData("Rooms are ready from three in the afternoon [UNKNOWN]. Whales sing.")]
    [InlineData("Yes.")]
    [InlineData("")]
    public async Task Strict_UnsupportedAnswer_IsRefusedUnseen(string said)
    {
        var (agent, chunk) = await DeskAsync(members: Strict);
        said = Fill(said, chunk);
        for (var i = 0; i < 4; i++)
        {
            _model.Reply([.. said.Chunk(i + 3).Select(static piece => (object)new string(piece))]);
        }

        var json = await AskAsync(agent, "When are rooms ready?");
        var stream = await StreamAsync("/v1/agents/runs?stream=true",
            RunTestExtensions.Body(agent, "\"input\":\"When are rooms ready?\""));
        var auteryn = await AuterynAsync(agent, "\"stream\":false");
        var chunks = await StreamAsync("/api/run", """{"query":"When are rooms ready?"}""", ("X-Agent-Id", agent));

        Assert.Equal((422, "output_invalid", "strict_citations"), (json.Status, json.ErrorCode, json.ErrorParam));
        Assert.Contains("event: run.failed", stream, StringComparison.Ordinal);
        Assert.DoesNotContain("message.delta", stream, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"output_invalid\"", stream, StringComparison.Ordinal);
        Assert.Equal((422, "output_invalid"), (auteryn.Status, auteryn.ErrorCode));
        Assert.Contains("\"type\":\"run_failed\"", chunks, StringComparison.Ordinal);
        Assert.DoesNotContain("text_chunk", chunks, StringComparison.Ordinal);
        Assert.Equal(4, _model.Calls);
        await _server.AssertSoundAsync();
    }

    [Fact]
    public async Task Strict_TextBesideAToolCall_IsNotShown()
    {
        var (agent, _) = await DeskAsync(members: Strict);
        _model.Reply("Let me look.", Call("knowledge-search", """{"query":"breakfast"}"""));
        _model.Reply("Breakfast costs 14 euros.");

        var answer = await AskAsync(agent, "What does breakfast cost?");

        Assert.Equal("Breakfast costs 14 euros.", answer.Json.GetProperty("output").GetString());
    }

    [Fact]
    public async Task Strict_BuiltInModel_PassesWithWhatItQuotes()
    {
        var (agent, _) = await DeskAsync(members: Strict + ",\"model\":\"reeve/quote\"");

        var answer = await AskAsync(agent, "What does breakfast cost?");
        var foreign = await AskAsync(agent, "Who wrote Hamlet?");

        Assert.Equal("Breakfast costs 14 euros and is served in the winter garden. (guide.txt)",
            answer.Json.GetProperty("output").GetString());
        Assert.Equal("The documents do not answer this.", foreign.Json.GetProperty("output").GetString());
    }

    [Fact]
    public async Task Strict_JsonAnswer_IsHeldAgainstTheSourcesByItsValues()
    {
        var (agent, _) = await DeskAsync(members: Strict);
        _model.Reply("""{"costs":14,"place":"in the winter garden","vegan":null}""");
        _model.Reply("""{"costs":15,"place":"in the winter garden","vegan":null}""");
        const string Schema = "\"input\":\"What does breakfast cost?\",\"output_schema\":{\"type\":\"object\"}";

        var good = await _server.RunAsync(agent, Schema);
        var bad = await _server.RunAsync(agent, Schema);

        Assert.Equal((200, 422), (good.Status, bad.Status));
        Assert.Equal(("output_invalid", "strict_citations"), (bad.ErrorCode, bad.ErrorParam));
    }

    [Theory]
    [InlineData("")]
    [InlineData(Strict)]
    public async Task JsonAnswer_WithHalfASurrogatePair_EndsItsRunOnce(string members)
    {
        var (agent, _) = await DeskAsync(members: members);
        _model.Reply("{\"costs\":14,\"place\":\"\\ud83d\"}");

        var answer = await _server.RunAsync(
            agent, "\"input\":\"What does breakfast cost?\",\"output_schema\":{\"type\":\"object\"}");

        Assert.True(answer.Status is 200 or 422, answer.Text);
        Assert.Single(_model.Prompts);
    }

    [Theory]
    [InlineData("1. Guests leave their luggage at the reception.\n2. Rooms are ready from three in the afternoon.")]
    [InlineData("Per KNOWN breakfast costs 14 euros.")]
    [InlineData("Breakfast costs 14 euros [known].")]
    public async Task Strict_NumbersOfAListAndWordsBesideAnId_AreNoClaims(string said)
    {
        var (agent, chunk) = await DeskAsync(members: Strict);
        _model.Reply(Fill(said, chunk));

        var answer = await AskAsync(agent, "What does breakfast cost?");

        Assert.True(answer.Status == 200, answer.Text);
    }

    [Theory]
    [InlineData("[KNOWN] Rooms are ready from three in the afternoon. [OTHER] A bicycle costs 9.50 euros a day.")]
    [InlineData("- [KNOWN] Breakfast costs 14 euros.\n- [OTHER] A bicycle costs 9.50 euros a day.")]
    [InlineData("Rooms are ready from three in the afternoon. [KNOWN] A bicycle costs 9.50 euros a day. [OTHER]")]
    [InlineData("[KNOWN] Breakfast costs 14 euros. [KNOWN]\nA bicycle costs 9.50 euros a day.")]
    [InlineData("Breakfast costs 14 euros.\n[KNOWN]\nA bicycle costs 9.50 euros a day.\n[OTHER]")]
    public async Task Strict_IdsBeforeOrAfterTheirSentences_AreReadAsTheirs(string said)
    {
        var (agent, chunk) = await DeskAsync(members: Strict);
        _model.Reply(Fill(said, chunk).Replace("OTHER", await AddAsync(agent, "bicycles.txt",
            "A bicycle costs 9.50 euros a day at the reception."), StringComparison.Ordinal));

        var answer = await AskAsync(agent, "Reception, rooms, breakfast, bicycle: what?");

        Assert.True(answer.Status == 200, answer.Text);
    }

    [Theory]
    [InlineData("""{"costs":9.5}""", 200)]
    [InlineData("""{"costs":9.50}""", 200)]
    [InlineData("""{"costs":9.05}""", 422)]
    [InlineData("""{"costs":9.14}""", 422)]
    [InlineData("""{"costs":14.5}""", 422)]
    [InlineData("""{"costs":14.0}""", 200)]
    [InlineData("""{"deposit":1.2e2}""", 200)]
    public async Task Strict_NumberOfJson_IsTheSameInAnySpelling(string said, int status)
    {
        var (agent, _) = await DeskAsync(members: Strict);
        await AddAsync(agent, "bicycles.txt", "A bicycle costs 9.50 euros a day, after a deposit of 120. "
            + "A helmet costs 14 euros, a lock 50 cents.");
        _model.Reply(said);

        var answer = await _server.RunAsync(
            agent, "\"input\":\"What does a bicycle cost?\",\"output_schema\":{\"type\":\"object\"}");

        Assert.True(answer.Status == status, answer.Text);
    }

    [Fact]
    public async Task Id_ThatTheCallerAsksFor_IsShown()
    {
        var (agent, _) = await DeskAsync();
        _model.Reply($"Nothing of mine is {Unknown}, and {Unknown[..^1]}X is not either.");

        var answer = await AskAsync(agent, $"When are rooms ready, {Unknown}?");

        Assert.Equal($"Nothing of mine is {Unknown}, and is not either.",
            answer.Json.GetProperty("output").GetString());
    }

    [Fact]
    public async Task Id_ThatIsAPartOfWhatTheCallerWrote_IsNotShown()
    {
        var (agent, _) = await DeskAsync();
        _model.Reply($"See {Unknown[..^4]} there.");

        var answer = await AskAsync(agent, $"When are rooms ready, {Unknown}?");

        Assert.Equal("See there.", answer.Json.GetProperty("output").GetString());
    }

    [Fact]
    public async Task BeginningOfAnId_IsNotLostWhereTheAnswerIsCutOff()
    {
        var (agent, _) = await DeskAsync();
        _model.Reply("From three [chk_0", new TaskCompletionSource().Task);
        using var stream = await _server.OpenAsync("POST", "/v1/agents/runs?stream=true",
            RunTestExtensions.Body(agent, "\"input\":\"When are rooms ready?\""));
        var begun = await stream.ReadToAsync("From three");
        var run = Data(begun).Select(static data => data.TryGetProperty("run_id", out var id) ? id.GetString() : null)
            .First(static id => id is not null);

        var cancelled = await _server.Client.PostAsync($"/v1/runs/{run}/cancel", "{}");

        Assert.Equal("From three [chk_0", cancelled.Json.GetProperty("output").GetString());
        _model.Reply("From three [chk_0", new ProviderException(ProviderFault.Unreachable, "gone"));
        var failed = await StreamAsync("/v1/agents/runs?stream=true",
            RunTestExtensions.Body(agent, "\"input\":\"When are rooms ready?\""));
        Assert.Contains("event: run.failed", failed, StringComparison.Ordinal);
        Assert.Equal("From three [chk_0", string.Concat(Data(failed)
            .Where(static data => data.TryGetProperty("delta", out _))
            .Select(static data => data.GetProperty("delta").GetString())));
        Assert.Equal(2 * TokenCounter.Count("From three [chk_0"), _server.Database.Read(static session =>
            session.Count("SELECT sum(output_tokens) FROM model_calls"))); // All that was shown is counted.
    }

    [Fact]
    public async Task BeginningOfAnId_ThatNobodyWasShown_IsTheOperatorsLoss()
    {
        var (agent, _) = await DeskAsync();
        _model.Reply("[chk_0", new ProviderException(ProviderFault.Unreachable, "gone"));

        var failed = await StreamAsync("/v1/agents/runs?stream=true",
            RunTestExtensions.Body(agent, "\"input\":\"When are rooms ready?\""));

        Assert.Contains("event: run.failed", failed, StringComparison.Ordinal);
        var (lost, charged) = _server.Database.Read(static session => (
            session.Count("SELECT sum(lost) FROM model_calls"), session.Count("SELECT sum(charged) FROM runs")));
        Assert.Equal((true, 0), (lost > 0, charged));
        await _server.AssertSoundAsync();
    }

    private static string Fill(string text, string chunk) => text.Replace("UNKNOWN", Unknown, StringComparison.Ordinal)
        .Replace("KNOWN", chunk, StringComparison.Ordinal)
        .Replace("known", chunk.ToLowerInvariant(), StringComparison.Ordinal);

    private static IEnumerable<JsonElement> Data(string stream) => stream.Split('\n')
        .Where(static line => line.StartsWith("data: ", StringComparison.Ordinal))
        .Select(static line => JsonElement.Parse(line[6..]));

    private async Task<(string Agent, string Chunk)> DeskAsync(TestServer? of = null, string members = "")
    {
        var server = of ?? _server;
        var agent = await server.NewAgentAsync(members);
        return (agent, await AddAsync(agent, "guide.txt", Guide, of));
    }

    /// <summary>Adds a document of one chunk and answers the chunk's id.</summary>
    private async Task<string> AddAsync(string agent, string name, string text, TestServer? of = null)
    {
        var server = of ?? _server;
        var added = await server.Client.PostAsync($"/v1/agents/{agent}/documents",
            $$"""{"name":"{{name}}","text":"{{JsonEncodedText.Encode(text)}}"}""");
        Assert.True(added.Status == 201, added.Text);
        var document = added.Json.GetProperty("id").GetString();
        return (await server.Client.GetAsync($"/v1/documents/{document}/chunks")).Json
            .GetProperty("data")[0].GetProperty("id").GetString()!;
    }

    private Task<TestAnswer> AskAsync(string agent, string question) =>
        _server.RunAsync(agent, $"\"input\":\"{question}\"");

    private Task<TestAnswer> AuterynAsync(string agent, string members) => _server.Client.SendAsync("POST", "/api/run",
        $$"""{"query":"When are rooms ready?",{{members}}}""", ("X-Agent-Id", agent));

    private async Task<string> StreamAsync(string path, string body, params (string Name, string Value)[] headers)
    {
        using var stream = await _server.OpenAsync("POST", path, body, headers);
        return await stream.ReadToEndAsync(RunTestExtensions.Cancellation);
    }

    private async Task<JsonElement> CitationAsync(TestAnswer answer)
    {
        Assert.True(answer.Status == 200, answer.Text);
        var run = await _server.Client.GetAsync($"/v1/runs/{answer.Json.GetProperty("run_id").GetString()}");
        return Assert.Single(run.Json.GetProperty("citations").EnumerateArray());
    }
}
