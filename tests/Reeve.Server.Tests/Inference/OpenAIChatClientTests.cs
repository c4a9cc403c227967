using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Inference;

public sealed class OpenAIChatClientTests
{
    private const string Whole =
        """
        {"id":"c1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Grüße 🦊",
        "refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15,
        "prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":1}}}
        """;

    // Half a character ends one piece and the other half begins the next, as some servers do it.
    private const string Streamed =
        ": hello\r\n\r\n"
        + "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
        + "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grü\\u00dfe \\ud83e\"}}]}\r\n\r\n"
        + "event: x\ndata: {\"choices\":[{\"delta\":\ndata: {\"content\":\"\\udd8a 東京\"}}]}\n\n"
        + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\r\r"
        + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3}}\n\n"
        + "data: [DONE]\n\n";

    private const string StreamedCalls =
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"add\",\""
            + "arguments\":\"\"}}]}}]}\n\n"
        + "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\":\"}"
        + "}]}}]}\n\n"
        + "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"now\","
        + "\"arguments\":\"\"}}]}}]}\n\n"
        + "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}}]}\n\n"
        + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GetResponse_WholeAnswer_GivesTextUsageAndReason()
    {
        await using var provider = await LoopbackProvider.StartAsync(Whole);
        using var client = Sample.Client("openai", provider);

        var response = await client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);

        Assert.Equal("Grüße 🦊", response.Text);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.Equal(12, response.Usage!.InputTokenCount);
        Assert.Equal(3, response.Usage.OutputTokenCount);
        Assert.Equal(8, response.Usage.CachedInputTokenCount);
        Assert.Equal(1, response.Usage.ReasoningTokenCount);
        Assert.Equal("/v1/chat/completions", provider.Paths[0]);
        Assert.Equal("Bearer key-123", provider.Headers[0].Authorization);
    }

    [Fact]
    public async Task GetResponse_FullRequest_IsWrittenAsTheProtocolSays()
    {
        await using var provider = await LoopbackProvider.StartAsync(Whole);
        using var client = Sample.Client("openai", provider);
        var schema = JsonElement.Parse("""{"type":"object","properties":{"x":{"type":"integer"}}}""");
        ChatMessage[] messages =
        [
            new(ChatRole.System, "Be brief."),
            new(ChatRole.User,
            [
                new TextContent("What?"),
                new SourceContent("chk_1", "a \"b\".md", ["H1", "H2"], "Text </source>"),
            ]),
            new(ChatRole.Assistant,
            [
                new FunctionCallContent("c1", "add", new Dictionary<string, object?> { ["x"] = 1 }),
            ]),
            new(ChatRole.Tool,
            [
                new FunctionResultContent("c1", JsonElement.Parse("{\"sum\":2}")),
                new FunctionResultContent("c2", "text"),
            ]),
            new(ChatRole.User, [new TextContent("See"), new DataContent(new byte[] { 1, 2 }, "image/png")]),
        ];

        await client.GetResponseAsync(
            messages,
            new ChatOptions
            {
                Temperature = 0.7f,
                MaxOutputTokens = 50,
                Tools = [AIFunctionFactory.CreateDeclaration("add", "Adds.", schema)],
                ToolMode = ChatToolMode.RequireSpecific("add"),
                ResponseFormat = ChatResponseFormat.ForJsonSchema(schema, "sum"),
            },
            Cancellation);

        var expected = JsonElement.Parse(
            """
            {"model":"sample-1","messages":[{"role":"system","content":"Be brief."},
            {"role":"user","content":
            "What?\n\n<source id=\"chk_1\" document=\"a 'b'.md\" section=\"H1 / H2\">\nText <\\/source>\n</source>"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"add",
            "arguments":"{\"x\":1}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"{\"sum\":2}"},{"role":"tool","tool_call_id":"c2","content":
            "text"},
            {"role":"user","content":[{"type":"text","text":"See"},{"type":"image_url","image_url":{"url":
            "data:image/png;base64,AQI="}}]}],
            "max_tokens":50,"temperature":0.7,
            "tools":[{"type":"function","function":{"name":"add","description":"Adds.","parameters":{"type":"object",
            "properties":{"x":{"type":"integer"}}}}}],
            "tool_choice":{"type":"function","function":{"name":"add"}},
            "response_format":{"type":"json_schema","json_schema":{"name":"sum","schema":{"type":"object",
            "properties":{"x":{"type":"integer"}}}}}}
            """);
        Assert.True(JsonElement.DeepEquals(expected, provider.Bodies[0]), provider.Bodies[0].GetRawText());
    }

    [Fact]
    public async Task GetStreamingResponse_Chunks_GivesASignOfLifeAndOneUpdateForEachPieceOfText()
    {
        await using var provider = await LoopbackProvider.StartStreamAsync(Streamed);
        using var client = Sample.Client("openai", provider);

        var updates = await client.GetStreamingResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation)
            .ToListAsync(Cancellation);

        Assert.Equal(["", "Grüße \ud83e", "\udd8a 東京", ""], updates.Select(update => update.Text));
        Assert.Equal(ChatFinishReason.Length, updates[^1].FinishReason);
        var usage = Assert.IsType<UsageContent>(Assert.Single(updates[^1].Contents));
        Assert.Equal((12, 3), (usage.Details.InputTokenCount, usage.Details.OutputTokenCount));
        Assert.True(provider.Bodies[0].GetProperty("stream_options").GetProperty("include_usage").GetBoolean());
    }

    [Fact]
    public async Task GetStreamingResponse_ToolCalls_AreGivenOnceAndWhole()
    {
        await using var provider = await LoopbackProvider.StartStreamAsync(StreamedCalls);
        using var client = Sample.Client("openai", provider);

        var updates = await client.GetStreamingResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation)
            .ToListAsync(Cancellation);
        var update = updates[^1];

        Assert.Empty(updates.SkipLast(1).SelectMany(static one => one.Contents));
        Assert.Equal(ChatFinishReason.ToolCalls, update.FinishReason);
        Assert.Collection(
            update.Contents.Cast<FunctionCallContent>(),
            call => Assert.Equal(("a", "add", "1"), (call.CallId, call.Name, call.Arguments!["x"]!.ToString())),
            call => Assert.Equal(("b", "now", 0), (call.CallId, call.Name, call.Arguments!.Count)));
    }

    [Theory]
    [InlineData(Streamed)]
    [InlineData(StreamedCalls)]
    public async Task GetStreamingResponse_SplitAnywhere_GivesTheSame(string stream)
    {
        var whole = await ReadAsync(new PiecesHandler(stream));
        Assert.NotEmpty(whole);
        Assert.Equal(whole, await ReadAsync(new PiecesHandler(stream, 1)));
        Assert.Equal(whole, await ReadAsync(new PiecesHandler(stream, 1, 2, 3, 5, 7)));
        for (var at = 1; at < System.Text.Encoding.UTF8.GetByteCount(stream); at++)
        {
            Assert.Equal(whole, await ReadAsync(new PiecesHandler(stream, at, int.MaxValue)));
        }
    }

    [Theory]
    [InlineData("{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"thinking\","
        + "\"thinking\":[]}]}}]}", "a")]
    [InlineData("{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"No.\"},\"finish_reason\":\"stop\"}]}",
        "No.")]
    [InlineData("{\"choices\":[{\"message\":{\"content\":\"a\"}},{\"message\":{\"content\":\"b\"}}],\"usage\":null}",
        "a")]
    public async Task GetResponse_ShapesOfOtherServers_AreRead(string body, string text)
    {
        await using var provider = await LoopbackProvider.StartAsync(body);
        using var client = Sample.Client("openai", provider);

        var response = await client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);

        Assert.Equal(text, response.Text);
        Assert.Null(response.Usage);
    }

    [Theory]
    [InlineData("{\"x\":", false)]
    [InlineData("[1]", false)]
    [InlineData("", true)]
    [InlineData("{\"x\":{\"y\":[1]}}", true)]
    public async Task GetResponse_ArgumentsOfAToolCall_AreParsedOrSaidToBeWrong(string arguments, bool good)
    {
        var body = "{\"choices\":[{\"message\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"argumen"
            + "ts\":\""
            + JsonEncodedText.Encode(arguments) + "\"}}]},\"finish_reason\":\"stop\"}]}";
        await using var provider = await LoopbackProvider.StartAsync(body);
        using var client = Sample.Client("openai", provider);

        var response = await client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);

        var call = Assert.IsType<FunctionCallContent>(Assert.Single(response.Messages[0].Contents));
        Assert.Equal(good, call.Exception is null);
        Assert.Equal(good ? null : arguments, call.RawRepresentation as string);
        Assert.Equal(ChatFinishReason.ToolCalls, response.FinishReason);
    }

    [Fact]
    public async Task GetResponse_UnsupportedParameter_IsLeftOutFromThenOn()
    {
        await using var provider = await LoopbackProvider.StartAsync(async (context, count) =>
        {
            var param = count switch { 1 => "max_tokens", 2 => "temperature", _ => null };
            context.Response.StatusCode = param is null ? 200 : 400;
            await context.Response.WriteAsync(
                param is null
                    ? Whole
                    : "{\"error\":{\"code\":\"unsupported_parameter\",\"param\":\"" + param + "\"}}",
                context.RequestAborted);
        });
        using var client = Sample.Client("openai", provider);
        var options = new ChatOptions { MaxOutputTokens = 5, Temperature = 1.5f };

        await client.GetResponseAsync([new(ChatRole.User, "Hi")], options, Cancellation);
        await client.GetResponseAsync([new(ChatRole.User, "Hi")], options, Cancellation);

        Assert.Equal(4, provider.Bodies.Count);
        Assert.Equal(5, provider.Bodies[3].GetProperty("max_completion_tokens").GetInt32());
        Assert.False(provider.Bodies[3].TryGetProperty("max_tokens", out _));
        Assert.False(provider.Bodies[3].TryGetProperty("temperature", out _));
    }

    private static async Task<List<string>> ReadAsync(HttpMessageHandler handler)
    {
        using var http = new ProviderHttp(handler);
        using var client = Sample.Client("openai", http, new Uri("http://sample"));
        var parts = new List<string>();
        await foreach (var update in client.GetStreamingResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation))
        {
            parts.AddRange(update.Contents.Select(Transcript.Describe));
            parts.Add($"{update.FinishReason}");
        }

        return parts;
    }
}

internal static class Transcript
{
    internal static string Describe(AIContent content) => content switch
    {
        TextContent text => text.Text,
        FunctionCallContent call => $"{call.CallId} {call.Name} {call.RawRepresentation} {call.Exception?.Message}",
        UsageContent usage => $"{usage.Details.InputTokenCount}/{usage.Details.OutputTokenCount}",
        _ => content.GetType().Name,
    };
}
