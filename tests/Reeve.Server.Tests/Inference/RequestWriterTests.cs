using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Inference;

/// <summary>What is sent for a long history with everything in it, in each of the newer protocols.</summary>
public sealed class RequestWriterTests
{
    private static readonly string[] Kinds = ["openai", "responses", "anthropic", "gemini", "ollama"];

    private static readonly JsonElement Schema =
        JsonElement.Parse("""{"type":"object","properties":{"x":{"type":"integer"}}}""");

    private static readonly Dictionary<string, string> Answers = new()
    {
        ["openai"] = """{"choices":[{"message":{"content":"a"}}]}""",
        ["responses"] = """{"object":"response","status":"completed","output":[]}""",
        ["anthropic"] = """{"type":"message","content":[]}""",
        ["gemini"] = """{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}""",
        ["ollama"] = """{"message":{"content":"a"},"done":true}""",
    };

    private static readonly ChatMessage[] History =
    [
        new(ChatRole.System, "Be brief."),
        new(ChatRole.User, "What?"),
        new(ChatRole.User, [new SourceContent("chk_1", "a.md", [], "Text")]),
        new(ChatRole.Assistant,
        [
            new TextContent("Let me see."),
            new FunctionCallContent("c:1", "add", new Dictionary<string, object?> { ["x"] = 1 }),
            new FunctionCallContent("c2", "now"),
        ]),
        new(ChatRole.Tool, [new FunctionResultContent("c:1", JsonElement.Parse("{\"sum\":2}"))]),
        new(ChatRole.Tool, [new FunctionResultContent("c2", "no") { Exception = new InvalidOperationException() }]),
        new(ChatRole.Assistant, "It is two."),
        new(new ChatRole("developer"), "Be kind."),
        new(ChatRole.User, [new TextContent("And this?"), new DataContent(new byte[] { 1, 2 }, "image/png")]),
    ];

    private static readonly ChatOptions Everything = new()
    {
        MaxOutputTokens = 50,
        Temperature = 0.7f,
        TopP = 0.9f,
        Seed = 7,
        FrequencyPenalty = 0.5f,
        PresencePenalty = -0.5f,
        StopSequences = ["END"],
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> All => [.. Kinds];

    [Theory]
    [InlineData("responses", "/v1/responses",
        """
        {"model":"sample-1","store":false,"input":[{"role":"system","content":"Be brief."},
        {"role":"user","content":"What?"},
        {"role":"user","content":"<source id=\"chk_1\" document=\"a.md\">\nText\n</source>"},
        {"role":"assistant","content":"Let me see."},
        {"type":"function_call","call_id":"c:1","name":"add","arguments":"{\"x\":1}"},
        {"type":"function_call","call_id":"c2","name":"now","arguments":"{}"},
        {"type":"function_call_output","call_id":"c:1","output":"{\"sum\":2}"},
        {"type":"function_call_output","call_id":"c2","output":"no"},
        {"role":"assistant","content":"It is two."},{"role":"system","content":"Be kind."},
        {"role":"user","content":[{"type":"input_text","text":"And this?"},
        {"type":"input_image","image_url":"data:image/png;base64,AQI="}]}],
        "max_output_tokens":50,"temperature":0.7,"top_p":0.9}
        """)]
    [InlineData("gemini", "/v1beta/models/sample-1:generateContent",
        """
        {"systemInstruction":{"parts":[{"text":"Be brief."},{"text":"Be kind."}]},"contents":[
        {"role":"user","parts":[{"text":"What?"},{"text":"<source id=\"chk_1\" document=\"a.md\">\nText\n</source>"}]},
        {"role":"model","parts":[{"text":"Let me see."},{"functionCall":{"name":"add","args":{"x":1}}},
        {"functionCall":{"name":"now","args":{}}}]},
        {"role":"user","parts":[{"functionResponse":{"name":"add","response":{"sum":2}}},
        {"functionResponse":{"name":"now","response":{"error":"no"}}}]},
        {"role":"model","parts":[{"text":"It is two."}]},
        {"role":"user","parts":[{"text":"And this?"},{"inlineData":{"mimeType":"image/png","data":"AQI="}}]}],
        "generationConfig":{"maxOutputTokens":50,"temperature":0.7,"topP":0.9,"seed":7,"frequencyPenalty":0.5,
        "presencePenalty":-0.5,"stopSequences":["END"]}}
        """)]
    [InlineData("ollama", "/api/chat",
        """
        {"model":"sample-1","stream":false,"messages":[{"role":"system","content":"Be brief."},
        {"role":"user","content":"What?"},
        {"role":"user","content":"<source id=\"chk_1\" document=\"a.md\">\nText\n</source>"},
        {"role":"assistant","content":"Let me see.","tool_calls":[{"function":{"name":"add","arguments":{"x":1}}},
        {"function":{"name":"now","arguments":{}}}]},
        {"role":"tool","tool_name":"add","content":"{\"sum\":2}"},{"role":"tool","tool_name":"now","content":"no"},
        {"role":"assistant","content":"It is two."},{"role":"system","content":"Be kind."},
        {"role":"user","content":"And this?","images":["AQI="]}],
        "options":{"num_ctx":1000,"num_predict":50,"temperature":0.7,"top_p":0.9,"seed":7,"frequency_penalty":0.5,
        "presence_penalty":-0.5,"stop":["END"]}}
        """)]
    public async Task GetResponse_LongHistory_IsWrittenAsTheProtocolSays(string kind, string path, string expected)
    {
        var (body, sent) = await SendAsync(kind, History, Everything);
        Assert.True(JsonElement.DeepEquals(JsonElement.Parse(expected), body), body.GetRawText());
        Assert.Equal(path, sent);
    }

    [Fact]
    public async Task GetStreamingResponse_OfGemini_GoesToItsOwnAddressWithTheKeyInAHeader()
    {
        await using var provider = await LoopbackProvider.StartStreamAsync($"data: {Answers["gemini"]}\n\n");
        using var client = Sample.Client("gemini", provider);
        await client.GetStreamingResponseAsync(History, null, Cancellation).ToListAsync(Cancellation);
        Assert.Equal("/v1beta/models/sample-1:streamGenerateContent", provider.Paths[0]);
        Assert.Equal("?alt=sse", provider.Queries[0]);
        Assert.Equal("key-123", provider.Headers[0]["x-goog-api-key"]);
        Assert.Equal(0, provider.Headers[0].Authorization.Count);
    }

    /// <summary>Its newest models refuse a call in the history without a signature.</summary>
    [Theory]
    [InlineData("gemini-3-pro-preview", 1)]
    [InlineData("gemini-2.5-pro", 0)]
    public async Task GetResponse_CallsInTheHistoryOfGemini_AreSignedWhereThatIsAsked(string upstream, int signatures)
    {
        await using var provider = await LoopbackProvider.StartAsync(Answers["gemini"]);
        using var client = Sample.Client(
            "gemini", provider.Http, provider.Address, model: Sample.Model with { Upstream = upstream });
        await client.GetResponseAsync(History, null, Cancellation);
        Assert.Equal(
            signatures, provider.Bodies[0].GetRawText().Split("skip_thought_signature_validator").Length - 1);
    }

    [Theory]
    [InlineData("openai", "", """{"tool_choice":"none"}""", """{"tool_choice":"required"}""",
        """{"tool_choice":{"type":"function","function":{"name":"add"}}}""")]
    [InlineData("responses", "", """{"tool_choice":"none"}""", """{"tool_choice":"required"}""",
        """{"tool_choice":{"type":"function","name":"add"}}""")]
    [InlineData("anthropic", """{"tool_choice":{"type":"auto"}}""", """{"tool_choice":{"type":"none"}}""",
        """{"tool_choice":{"type":"any"}}""", """{"tool_choice":{"type":"tool","name":"add"}}""")]
    [InlineData("gemini", """{"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}}}""",
        """{"toolConfig":{"functionCallingConfig":{"mode":"NONE"}}}""",
        """{"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}}""",
        """{"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["add"]}}}""")]
    public async Task GetResponse_ToolMode_IsTheChoiceOfTheProtocol(
        string kind, string auto, string none, string required, string named)
    {
        ChatToolMode[] modes =
            [ChatToolMode.Auto, ChatToolMode.None, ChatToolMode.RequireAny, ChatToolMode.RequireSpecific("add")];
        foreach (var (mode, expected) in modes.Zip((string[])[auto, none, required, named]))
        {
            var (body, _) = await SendAsync(kind, History, Tools(mode));
            Assert.Contains("\"add\"", body.GetProperty("tools").GetRawText(), StringComparison.Ordinal);
            var name = kind == "gemini" ? "toolConfig" : "tool_choice";
            Assert.Equal(
                expected,
                body.TryGetProperty(name, out var choice) ? $"{{\"{name}\":{choice.GetRawText()}}}" : "");
        }
    }

    [Fact]
    public async Task GetResponse_ToolModeOfOllama_IsSaidByWhatIsOfferedAndInWords()
    {
        var (auto, _) = await SendAsync("ollama", History, Tools(ChatToolMode.Auto));
        var (none, _) = await SendAsync("ollama", History, Tools(ChatToolMode.None));
        var (any, _) = await SendAsync("ollama", History, Tools(ChatToolMode.RequireAny));
        var (named, _) = await SendAsync("ollama", History, Tools(ChatToolMode.RequireSpecific("add")));

        Assert.Equal(2, auto.GetProperty("tools").GetArrayLength());
        Assert.False(none.TryGetProperty("tools", out _));
        Assert.Equal(2, any.GetProperty("tools").GetArrayLength());
        Assert.Equal(1, named.GetProperty("tools").GetArrayLength());
        Assert.Equal("Be brief.", First(auto));
        Assert.Equal("Do not answer with text: call one of the tools.", First(any));
        Assert.Equal("Do not answer with text: call the tool add.", First(named));

        static string? First(JsonElement body) => body.GetProperty("messages")[0].GetProperty("content").GetString();
    }

    [Theory]
    [InlineData("responses",
        """
        {"text":{"format":{"type":"json_schema","name":"output","schema":SCHEMA,"strict":false}}}
        """,
        """{"text":{"format":{"type":"json_object"}}}""")]
    [InlineData("ollama", """{"format":SCHEMA}""", """{"format":"json"}""")]
    public async Task GetResponse_Schema_IsTheParameterOfTheProtocol(string kind, string schema, string json)
    {
        var (withSchema, _) = await SendAsync(kind, History, new() { ResponseFormat = Format });
        var (without, _) = await SendAsync(kind, History, new() { ResponseFormat = ChatResponseFormat.Json });
        AssertHas(withSchema, schema.Replace("SCHEMA", Schema.GetRawText(), StringComparison.Ordinal));
        AssertHas(without, json);
    }

    [Fact]
    public async Task GetResponse_SchemaOfGemini_IsAParameterAndBesideToolsInWords()
    {
        var (alone, _) = await SendAsync("gemini", History, new() { ResponseFormat = Format });
        var config = alone.GetProperty("generationConfig");
        Assert.Equal("application/json", config.GetProperty("responseMimeType").GetString());
        Assert.True(JsonElement.DeepEquals(Schema, config.GetProperty("responseJsonSchema")));

        var options = Tools(ChatToolMode.Auto);
        options.ResponseFormat = Format;
        var (beside, _) = await SendAsync("gemini", History, options);
        Assert.False(beside.GetProperty("generationConfig").TryGetProperty("responseMimeType", out _));
        Assert.Contains("It fits this JSON Schema", beside.GetProperty("systemInstruction").GetRawText(),
            StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task GetResponse_ImageInADataUrl_IsSentAsItsBytes(string kind)
    {
        var (asUrl, _) = await SendAsync(
            kind, [new(ChatRole.User, [new UriContent("data:image/png;base64,AQI=", "image/png")])], null);
        var (asBytes, _) = await SendAsync(
            kind, [new(ChatRole.User, [new DataContent(new byte[] { 1, 2 }, "image/png")])], null);
        Assert.True(JsonElement.DeepEquals(asBytes, asUrl), asUrl.GetRawText());
    }

    [Theory]
    [InlineData("openai", """{"type":"image_url","image_url":{"url":"http://x/a.png"}}""")]
    [InlineData("responses", """{"type":"input_image","image_url":"http://x/a.png"}""")]
    [InlineData("anthropic", """{"type":"image","source":{"type":"url","url":"http://x/a.png"}}""")]
    [InlineData("gemini", """{"fileData":{"mimeType":"image/png","fileUri":"http://x/a.png"}}""")]
    public async Task GetResponse_ImageByItsAddress_GoesOnAsAnAddress(string kind, string part)
    {
        var (body, _) = await SendAsync(
            kind, [new(ChatRole.User, [new UriContent("http://x/a.png", "image/png")])], null);
        Assert.Contains(part, body.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task GetResponse_ImageByItsAddressForOllama_IsRefusedBeforeAnythingIsSent()
    {
        await using var provider = await LoopbackProvider.StartAsync(Answers["ollama"]);
        using var client = Sample.Client("ollama", provider);
        var error = await Assert.ThrowsAsync<ProviderException>(() => client.GetResponseAsync(
            [new(ChatRole.User, [new UriContent("http://x/a.png", "image/png")])], null, Cancellation));
        Assert.Equal(
            (ProviderFault.BadRequest, "sample takes images as bytes only, not by their address."),
            (error.Fault, error.Message));
        Assert.Empty(provider.Bodies);
    }

    [Theory]
    [InlineData("Unsupported parameter: 'temperature' is not supported with this model.", 2)]
    [InlineData("Invalid 'temperature': number above maximum value.", 1)]
    public async Task GetResponse_ResponsesRefuseAParameter_IsCalledWithoutIt(string message, int calls)
    {
        var refusal = "{\"error\":{\"type\":\"invalid_request_error\",\"param\":\"temperature\",\"code\":null,"
            + $"\"message\":\"{message}\"}}}}";
        await using var provider = await LoopbackProvider.StartAsync(async (context, count) =>
        {
            context.Response.StatusCode = count == 1 ? 400 : 200;
            await Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(
                context.Response, count == 1 ? refusal : Answers["responses"], Cancellation);
        });
        using var client = Sample.Client("responses", provider);
        var call = client.GetResponseAsync(History, new() { Temperature = 1 }, Cancellation);
        if (calls == 1)
        {
            await Assert.ThrowsAsync<ProviderException>(() => call);
        }
        else
        {
            await call;
            Assert.False(provider.Bodies[1].TryGetProperty("temperature", out _));
        }

        Assert.Equal(calls, provider.Bodies.Count);
    }

    private static ChatResponseFormat Format => ChatResponseFormat.ForJsonSchema(Schema);

    private static ChatOptions Tools(ChatToolMode mode) => new()
    {
        Tools =
        [
            AIFunctionFactory.CreateDeclaration("add", "Adds.", Schema),
            AIFunctionFactory.CreateDeclaration("now", "Tells the time.", Schema),
        ],
        ToolMode = mode,
    };

    private static void AssertHas(JsonElement body, string members)
    {
        foreach (var member in JsonElement.Parse(members).EnumerateObject())
        {
            Assert.True(
                JsonElement.DeepEquals(member.Value, body.GetProperty(member.Name)), body.GetRawText());
        }
    }

    private static async Task<(JsonElement Body, string Path)> SendAsync(
        string kind, IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        await using var provider = await LoopbackProvider.StartAsync(Answers[kind]);
        using var client = Sample.Client(kind, provider);
        await client.GetResponseAsync(messages, options, Cancellation);
        return (provider.Bodies[0], provider.Paths[0]);
    }
}
