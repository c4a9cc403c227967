using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Inference;

public sealed class AnthropicChatClientTests
{
    private const string Whole =
        """
        {"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"hm"},
        {"type":"text","text":"Grüße"},{"type":"tool_use","id":"toolu_1","name":"add","input":{"x":1}}],
        "stop_reason":"tool_use","stop_sequence":null,
        "usage":{"input_tokens":10,"cache_creation_input_tokens":2,"cache_read_input_tokens":30,"output_tokens":7}}
        """;

    private const string Streamed =
        "event: message_start\n"
        + "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":25"
        + ",\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n"
        + "event: content_block_start\n"
        + "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        + "event: ping\ndata: {\"type\":\"ping\"}\n\n"
        + "event: content_block_delta\n"
        + "data: {\"index\":0,\"delta\":{\"text\":\"Grü\\u00df\",\"type\":\"text_delta\"},\"type\":\"content_block_d"
        + "elta\"}\n\n"
        + "event: content_block_delta\n"
        + "data: {\"type\":\"content_block_delta\",\"index\":0,"
        + "\"delta\":{\"type\":\"text_delta\",\"text\":\" 🦊\"}}\n\n"
        + "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        + "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"too"
        + "lu_1\",\"name\":\"add\",\"input\":{}}}\n\n"
        + "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_js"
        + "on\":\"\"}}\n\n"
        + "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_js"
        + "on\":\"{\\\"x\\\":\"}}\n\n"
        + "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_js"
        + "on\":\" 1}\"}}\n\n"
        + "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
        + "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage"
        + "\":{\"output_tokens\":15}}\n\n"
        + "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    private static readonly JsonElement Schema =
        JsonElement.Parse("""{"type":"object","properties":{"x":{"type":"integer"}}}""");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GetResponse_WholeAnswer_GivesTextCallsUsageAndReason()
    {
        await using var provider = await LoopbackProvider.StartAsync(Whole);
        using var client = Sample.Client("anthropic", provider);

        var response = await client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);

        Assert.Equal("Grüße", response.Text);
        Assert.Equal(ChatFinishReason.ToolCalls, response.FinishReason);
        Assert.Equal((42, 7), (response.Usage!.InputTokenCount, response.Usage.OutputTokenCount));
        Assert.Equal(30, response.Usage.CachedInputTokenCount);
        Assert.Contains("toolu_1 add {\"x\":1} ", response.Messages[0].Contents.Select(Transcript.Describe));
        Assert.Equal("/v1/messages", provider.Paths[0]);
        Assert.Equal("key-123", provider.Headers[0]["x-api-key"]);
        Assert.Equal("2023-06-01", provider.Headers[0]["anthropic-version"]);
        Assert.Equal(0, provider.Headers[0].Authorization.Count);
    }

    [Fact]
    public async Task GetResponse_FullRequest_IsWrittenAsTheProtocolSays()
    {
        await using var provider = await LoopbackProvider.StartAsync(Whole);
        using var client = Sample.Client("anthropic", provider);
        ChatMessage[] messages =
        [
            new(ChatRole.System, "Be brief."),
            new(ChatRole.User, "What?"),
            new(ChatRole.User, [new SourceContent("chk_1", "a.md", [], "Text")]),
            new(ChatRole.Assistant,
            [
                new TextContent(" "),
                new FunctionCallContent("c:1", "add", new Dictionary<string, object?> { ["x"] = 1 }),
                new FunctionCallContent("c2", "now"),
            ]),
            new(ChatRole.Tool, [new FunctionResultContent("c:1", JsonElement.Parse("{\"sum\":2}"))]),
            new(ChatRole.Tool, [new FunctionResultContent("c2", "no") { Exception = new InvalidOperationException() }]),
            new(ChatRole.User, [new DataContent(new byte[] { 1, 2 }, "image/png")]),
        ];

        await client.GetResponseAsync(
            messages,
            new ChatOptions
            {
                Temperature = 1.5f,
                StopSequences = ["END"],
                Tools = [AIFunctionFactory.CreateDeclaration("add", "Adds.", Schema)],
                AllowMultipleToolCalls = false,
            },
            Cancellation);

        var expected = JsonElement.Parse(
            """
            {"model":"sample-1","max_tokens":100,"system":"Be brief.","messages":[
            {"role":"user","content":[{"type":"text","text":"What?"},
              {"type":"text","text":"<source id=\"chk_1\" document=\"a.md\">\nText\n</source>"}]},
            {"role":"assistant","content":[{"type":"tool_use","id":"c_1","name":"add","input":{"x":1}},{"type":
            "tool_use","id":"c2","name":"now","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"c_1","content":"{\"sum\":2}"},
              {"type":"tool_result","tool_use_id":"c2","content":"no","is_error":true},
              {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AQI="}}]}],
            "temperature":1,"stop_sequences":["END"],
            "tools":[{"name":"add","description":"Adds.","input_schema":{"type":"object","properties":{"x":{"type":
            "integer"}}}}],
            "tool_choice":{"type":"auto","disable_parallel_tool_use":true}}
            """);
        Assert.True(JsonElement.DeepEquals(expected, provider.Bodies[0]), provider.Bodies[0].GetRawText());
    }

    [Fact]
    public async Task GetStreamingResponse_Events_GivesTextThenCallsAndUsage()
    {
        await using var provider = await LoopbackProvider.StartStreamAsync(Streamed);
        using var client = Sample.Client("anthropic", provider);

        var updates = await client.GetStreamingResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation)
            .ToListAsync(Cancellation);

        Assert.Equal(["", "Grüß", " 🦊", ""], updates.Select(update => update.Text));
        Assert.Equal(ChatFinishReason.ToolCalls, updates[^1].FinishReason);
        Assert.Equal(["toolu_1 add {\"x\": 1} ", "30/15"], updates[^1].Contents.Select(Transcript.Describe));
        Assert.True(provider.Bodies[0].GetProperty("stream").GetBoolean());
    }

    [Fact]
    public async Task GetStreamingResponse_SplitAnywhere_GivesTheSame()
    {
        var whole = await ReadAsync(new PiecesHandler(Streamed));
        Assert.NotEmpty(whole);
        for (var at = 1; at < System.Text.Encoding.UTF8.GetByteCount(Streamed); at++)
        {
            Assert.Equal(whole, await ReadAsync(new PiecesHandler(Streamed, at, int.MaxValue)));
        }

        Assert.Equal(whole, await ReadAsync(new PiecesHandler(Streamed, 1)));
    }

    [Fact]
    public async Task GetResponse_SchemaWithoutTools_IsAForcedToolWhoseInputIsTheText()
    {
        await using var provider = await LoopbackProvider.StartAsync(
            """
            {"type":"message","content":[{"type":"text","text":"Sure:"},
            {"type":"tool_use","id":"t","name":"reeve_output","input":{"x":1}}],"stop_reason":"tool_use"}
            """);
        using var client = Sample.Client("anthropic", provider);

        var response = await client.GetResponseAsync(
            [new(ChatRole.User, "Hi")],
            new ChatOptions { ResponseFormat = ChatResponseFormat.ForJsonSchema(Schema) },
            Cancellation);

        Assert.Equal("{\"x\":1}", response.Text);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.Equal("tool", provider.Bodies[0].GetProperty("tool_choice").GetProperty("type").GetString());
        var tool = provider.Bodies[0].GetProperty("tools")[0];
        Assert.True(JsonElement.DeepEquals(Schema, tool.GetProperty("input_schema")));
    }

    [Fact]
    public async Task GetStreamingResponse_SchemaWithoutTools_StreamsTheInputAsText()
    {
        await using var provider = await LoopbackProvider.StartStreamAsync(
            Streamed.Replace("\"name\":\"add\"", "\"name\":\"reeve_output\"", StringComparison.Ordinal));
        using var client = Sample.Client("anthropic", provider);

        var updates = await client.GetStreamingResponseAsync(
            [new(ChatRole.User, "Hi")],
            new ChatOptions { ResponseFormat = ChatResponseFormat.ForJsonSchema(Schema) },
            Cancellation).ToListAsync(Cancellation);

        Assert.Equal(["", "{\"x\":", " 1}", ""], updates.Select(update => update.Text));
        Assert.Equal(ChatFinishReason.Stop, updates[^1].FinishReason);
    }

    [Fact]
    public async Task GetResponse_SchemaBesideTools_IsSaidInWords()
    {
        await using var provider = await LoopbackProvider.StartAsync(Whole);
        using var client = Sample.Client("anthropic", provider);

        await client.GetResponseAsync(
            [new(ChatRole.System, "Be brief."), new(ChatRole.User, "Hi")],
            new ChatOptions
            {
                ResponseFormat = ChatResponseFormat.ForJsonSchema(Schema),
                Tools = [AIFunctionFactory.CreateDeclaration("add", "Adds.", Schema)],
            },
            Cancellation);

        var system = provider.Bodies[0].GetProperty("system").GetString()!;
        Assert.StartsWith("Be brief.\n\n", system, StringComparison.Ordinal);
        Assert.Contains(Schema.GetRawText(), system, StringComparison.Ordinal);
        Assert.Equal("auto", provider.Bodies[0].GetProperty("tool_choice").GetProperty("type").GetString());
    }

    private static async Task<List<string>> ReadAsync(HttpMessageHandler handler)
    {
        using var http = new ProviderHttp(handler);
        using var client = Sample.Client("anthropic", http, new Uri("http://sample"));
        var parts = new List<string>();
        await foreach (var update in client.GetStreamingResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation))
        {
            parts.AddRange(update.Contents.Select(Transcript.Describe));
            parts.Add($"{update.FinishReason}");
        }

        return parts;
    }
}
