using System.Text.RegularExpressions;
using CsCheck;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Inference;

/// <summary>What all protocols must give alike, from answers as each of them writes it.</summary>
public sealed class ProtocolTests
{
    private static readonly string[] Kinds = ["openai", "responses", "anthropic", "gemini", "ollama"];

    /// <summary>One answer: a thought, a text in two pieces, and the usage 40 (8 read from a cache), 20.</summary>
    private static readonly Dictionary<string, string> Answers = new()
    {
        ["openai"] =
            """
            {"choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"hm, ok","content":"Grüße 🦊"},
            "finish_reason":"stop"}],"usage":{"prompt_tokens":40,"completion_tokens":20,"prompt_tokens_details":
            {"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":3}}}
            """,
        ["responses"] =
            """
            {"id":"r","object":"response","status":"completed","error":null,"incomplete_details":null,"output":[
            {"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"hm, ok"}]},
            {"type":"message","id":"m","role":"assistant","status":"completed","content":[
            {"type":"output_text","text":"Grüße ","annotations":[]},{"type":"output_text","text":"🦊"}]}],
            "usage":{"input_tokens":40,"input_tokens_details":{"cached_tokens":8},"output_tokens":20,
            "output_tokens_details":{"reasoning_tokens":3},"total_tokens":60}}
            """,
        ["anthropic"] =
            """
            {"type":"message","role":"assistant","content":[{"type":"thinking","thinking":"hm, ok","signature":"x"},
            {"type":"text","text":"Grüße 🦊"}],"stop_reason":"end_turn","usage":{"input_tokens":30,
            "cache_creation_input_tokens":2,"cache_read_input_tokens":8,"output_tokens":20}}
            """,
        ["gemini"] =
            """
            {"candidates":[{"content":{"role":"model","parts":[{"text":"hm, ok","thought":true},{"text":"Grüße "},
            {"text":"🦊","thoughtSignature":"AA=="}]},"finishReason":"STOP","index":0},{"content":{"parts":[{"text":
            "other"}]}}],"usageMetadata":{"promptTokenCount":40,"candidatesTokenCount":17,"thoughtsTokenCount":3,
            "cachedContentTokenCount":8,"totalTokenCount":60},"modelVersion":"x"}
            """,
        ["ollama"] =
            """
            {"model":"m","created_at":"x","message":{"role":"assistant","thinking":"hm, ok","content":"Grüße 🦊"},
            "done":true,"done_reason":"stop","prompt_eval_count":40,"eval_count":20}
            """,
    };

    /// <summary>The same, streamed; half a character ends the first piece where a protocol's JSON allows it.</summary>
    private static readonly Dictionary<string, string> Streams = new()
    {
        ["openai"] = Sse(
            """{"choices":[{"delta":{"role":"assistant","content":"","reasoning":"hm, "}}]}""",
            """{"choices":[{"delta":{"reasoning":"ok","reasoning_content":"ok"}}]}""",
            """{"choices":[{"delta":{"content":"Grüße \ud83e"}}]}""",
            """{"choices":[{"delta":{"content":"\udd8a"}}]}""",
            """{"choices":[{"delta":{},"finish_reason":"stop"}]}""",
            """
            {"choices":[],"usage":{"prompt_tokens":40,"completion_tokens":20,"prompt_tokens_details":
            {"cached_tokens":8}}}
            """,
            "[DONE]"),
        ["responses"] = Sse(
            """{"type":"response.created","response":{"status":"in_progress","output":[]}}""",
            """{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","summary":[]}}""",
            """{"type":"response.reasoning_summary_text.delta","output_index":0,"delta":"hm, "}""",
            """{"type":"response.reasoning_text.delta","output_index":0,"delta":"ok"}""",
            """{"type":"response.output_item.added","output_index":1,"item":{"type":"message","content":[]}}""",
            """{"type":"response.output_text.delta","output_index":1,"delta":"Grüße \ud83e"}""",
            """{"type":"response.output_text.delta","output_index":1,"delta":"\udd8a"}""",
            """{"type":"response.output_text.done","output_index":1,"text":"Grüße 🦊"}""",
            """{"type":"response.new_kind","delta":"x"}""",
            """
            {"type":"response.completed","response":{"object":"response","status":"completed","output":[
            {"type":"message","content":[{"type":"output_text","text":"Grüße 🦊"}]}],"usage":{"input_tokens":40,
            "input_tokens_details":{"cached_tokens":8},"output_tokens":20}}}
            """),
        ["anthropic"] = Sse(
            """{"type":"message_start","message":{"usage":{"input_tokens":32,"cache_read_input_tokens":8}}}""",
            """{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm, "}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"ok"}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"x"}}""",
            """{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}""",
            """{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Grüße \ud83e"}}""",
            """{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"\udd8a"}}""",
            """{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20}}""",
            """{"type":"message_stop"}"""),
        ["gemini"] = Sse(
            """
            {"candidates":[{"content":{"role":"model","parts":[{"text":"hm, ","thought":true}]}}],
            "usageMetadata":{"promptTokenCount":40,"thoughtsTokenCount":2}}
            """,
            """{"candidates":[{"content":{"parts":[{"text":"ok","thought":true}]}}]}""",
            """{"candidates":[{"content":{"parts":[{"text":"Grüße \ud83e"}]}}]}""",
            """{"candidates":[{"content":{"parts":[{"text":"\udd8a"}]}}]}""",
            """
            {"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP"}],"usageMetadata":
            {"promptTokenCount":40,"cachedContentTokenCount":8,"candidatesTokenCount":17,
            "thoughtsTokenCount":3}}
            """),
        ["ollama"] = Lines(
            """{"message":{"role":"assistant","content":"","thinking":"hm, "},"done":false}""",
            """{"message":{"role":"assistant","content":"","thinking":"ok"},"done":false}""", "",
            """{"message":{"role":"assistant","content":"Grüße \ud83e"},"done":false}""",
            """{"message":{"role":"assistant","content":"\udd8a"},"done":false}""",
            """
            {"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",
            "prompt_eval_count":40,"eval_count":20}
            """),
    };

    /// <summary>Two calls at once, as one answer.</summary>
    private static readonly Dictionary<string, string> Calls = new()
    {
        ["responses"] =
            """
            {"object":"response","status":"completed","output":[{"type":"function_call","id":"fc_1","call_id":"a",
            "name":"add","arguments":"{\"x\":1}"},{"type":"function_call","call_id":"b","name":"now","arguments":"{}"}]}
            """,
        ["gemini"] =
            """
            {"candidates":[{"content":{"parts":[{"functionCall":{"id":"a","name":"add","args":{"x":1}}},
            {"functionCall":{"id":"b","name":"now","args":{}}}]},"finishReason":"STOP"}]}
            """,
        ["ollama"] =
            """
            {"message":{"content":"","tool_calls":[{"id":"a","function":{"name":"add","arguments":{"x":1}}},
            {"id":"b","function":{"name":"now","arguments":{}}}]},"done":true,"done_reason":"stop"}
            """,
    };

    private static readonly Dictionary<string, string> StreamedCalls = new()
    {
        ["responses"] = Sse(
            """
            {"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"a",
            "name":"add","arguments":""}}
            """,
            """{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"x\""}""",
            """
            {"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"b",
            "name":"now","arguments":""}}
            """,
            """{"type":"response.function_call_arguments.delta","output_index":0,"delta":":1}"}""",
            """{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{\"x\":1}"}""",
            """
            {"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"a",
            "name":"add","arguments":"{\"x\":1}"}}
            """,
            """
            {"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","call_id":"b",
            "name":"now","arguments":"{}"}}
            """,
            """
            {"type":"response.completed","response":{"status":"completed","output":[{"type":"function_call",
            "call_id":"a","name":"add","arguments":"{\"x\":1}"},{"type":"function_call","call_id":"b",
            "name":"now","arguments":"{}"}]}}
            """),
        ["gemini"] = Sse(
            """
            {"candidates":[{"content":{"parts":[{"functionCall":{"id":"a","name":"add","args":{"x":1}},
            "thoughtSignature":"AA=="}]}}]}
            """,
            """
            {"candidates":[{"content":{"parts":[{"functionCall":{"id":"b","name":"now"}}]},
            "finishReason":"STOP"}]}
            """),
        ["ollama"] = Lines(
            """{"message":{"content":"","tool_calls":[{"id":"a","function":{"name":"add","arguments":{"x":1}}}]}}""",
            """{"message":{"content":"","tool_calls":[{"id":"b","function":{"name":"now","arguments":{}}}]}}""",
            """{"message":{"content":""},"done":true,"done_reason":"stop"}"""),
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> All => [.. Kinds];

    public static TheoryData<string> WithCalls => [.. Calls.Keys];

    [Theory]
    [MemberData(nameof(All))]
    public async Task GetResponse_Answer_IsTextThoughtsUsageAndReason(string kind)
    {
        await using var provider = await LoopbackProvider.StartAsync(Answers[kind]);
        using var client = Sample.Client(kind, provider);

        var response = await client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);

        Assert.Equal("Grüße 🦊", response.Text);
        Assert.Equal("hm, ok", string.Concat(
            response.Messages[0].Contents.OfType<TextReasoningContent>().Select(thought => thought.Text)));
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        var usage = response.Usage!;
        Assert.Equal((40, 20), (usage.InputTokenCount, usage.OutputTokenCount));
        Assert.Equal(kind == "ollama" ? null : 8, usage.CachedInputTokenCount);
        Assert.Equal(kind is "ollama" or "anthropic" ? null : 3, usage.ReasoningTokenCount);
        Assert.Equal(
            kind == "anthropic" ? 2 : 0, usage.AdditionalCounts?.GetValueOrDefault("cache_write_input_tokens") ?? 0);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task GetStreamingResponse_CutAnywhere_IsTheSame(string kind)
    {
        var usage = kind == "ollama" ? "40/20/" : "40/20/8";
        string[] expected = ["~hm, ", "~ok", "Grüße \ud83e", "\udd8a", usage, "stop"];
        Assert.Equal(expected, await ReadAsync(kind, Streams[kind]));
        Assert.Equal(expected, await ReadAsync(kind, Streams[kind], 1));
        Assert.Equal(expected, await ReadAsync(kind, Streams[kind].Replace("\n", "\r\n", StringComparison.Ordinal), 2));
        await Gen.Int[1, 97].Array[1, 12].SampleAsync(
            async sizes => Assert.Equal(expected, await ReadAsync(kind, Streams[kind], sizes)), iter: 300);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task GetStreamingResponse_EndsBeforeItsEnd_FailsInsteadOfEnding(string kind)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(Streams[kind]);
        var whole = 0;
        for (var length = 0; length < bytes.Length; length += 3)
        {
            // A cut within a character would be another test: the mock writes text.
            var cut = System.Text.Encoding.UTF8.GetString(bytes.AsSpan(0, length)).TrimEnd('\ufffd');
            try
            {
                var parts = await ReadAsync(kind, cut);
                Assert.Equal("Grüße \ud83e\udd8a", string.Concat(parts[2..4]));
                whole++;
            }
            catch (ProviderException error)
            {
                Assert.True(error.Fault is ProviderFault.Unreachable or ProviderFault.Malformed);
            }
        }

        // Only what may still follow the reason of the end can be missing.
        Assert.True(whole < bytes.Length / 6, $"{whole} cuts of {bytes.Length / 3} were taken for whole answers");
    }

    [Theory]
    [MemberData(nameof(WithCalls))]
    public async Task Call_TwoToolsAtOnce_AreGivenWhole(string kind)
    {
        string[] expected = ["a add {\"x\":1}", "b now {}", "tool_calls"];
        await using var provider = await LoopbackProvider.StartAsync(Calls[kind]);
        using var client = Sample.Client(kind, provider);
        var response = await client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);

        Assert.Equal(
            expected, (List<string>)[.. response.Messages[0].Contents.Select(Describe), $"{response.FinishReason}"]);
        Assert.Equal(expected, await ReadAsync(kind, StreamedCalls[kind]));
        Assert.Equal(expected, await ReadAsync(kind, StreamedCalls[kind], 1));
    }

    [Theory]
    [InlineData("responses",
        """
        {"object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":
        []}
        """, "length")]
    [InlineData("responses",
        """
        {"object":"response","status":"incomplete","incomplete_details":{"reason":"content_filter"},"output":[]}
        """, "content_filter")]
    [InlineData("responses",
        """
        {"object":"response","status":"completed","output":[{"type":"message","content":[{"type":"refusal",
        "refusal":"No."}]}]}
        """, "stop")]
    [InlineData("gemini",
        """
        {"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"MAX_TOKENS"}]}
        """, "length")]
    [InlineData("gemini", """{"candidates":[{"finishReason":"SAFETY"}]}""", "content_filter")]
    [InlineData("gemini", """{"promptFeedback":{"blockReason":"SAFETY"}}""", "content_filter")]
    [InlineData("gemini", """{"candidates":[{"content":{},"finishReason":"NEW_REASON"}]}""", "stop")]
    [InlineData("ollama", """{"message":{"content":"a"},"done":true,"done_reason":"length"}""", "length")]
    [InlineData("ollama", """{"message":{"content":"a"},"done":true}""", "stop")]
    public async Task GetResponse_ReasonOfTheEnd_IsUnderstood(string kind, string body, string reason)
    {
        await using var provider = await LoopbackProvider.StartAsync(body);
        using var client = Sample.Client(kind, provider);
        var response = await client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);
        Assert.Equal(reason, response.FinishReason!.Value.Value);
        Assert.Null(response.Usage);
    }

    [Theory]
    [InlineData("responses",
        """
        {"object":"response","status":"failed","error":{"code":"rate_limit_exceeded","message":"Hi"}}
        """, "RateLimited")]
    [InlineData("responses",
        """
        {"object":"response","status":"failed","error":{"code":"server_error","message":"Hi"}}
        """, "Overloaded")]
    [InlineData("responses", """{"object":"response","status":"cancelled"}""", "Overloaded")]
    [InlineData("responses", """{"error":{"code":"invalid_prompt","message":"Hi"}}""", "BadRequest")]
    [InlineData("responses", """{"object":"list"}""", "Malformed")]
    [InlineData("responses", """{"object":"response","output":{}}""", "Malformed")]
    [InlineData("responses",
        """
        {"object":"response","output":[{"type":"function_call","call_id":"a"}]}
        """, "Malformed")]
    [InlineData("gemini", """{"error":{"code":503,"status":"UNAVAILABLE","message":"Hi"}}""", "Overloaded")]
    [InlineData("gemini", """{"error":{"status":"RESOURCE_EXHAUSTED","message":"Hi"}}""", "RateLimited")]
    [InlineData("gemini", """{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}""", "Malformed")]
    [InlineData("gemini", """{"candidates":{}}""", "Malformed")]
    [InlineData("gemini", """{"candidates":[]}""", "Malformed")]
    [InlineData("gemini", """[{"candidates":[]}]""", "Malformed")]
    [InlineData("gemini", """{"candidates":[{"content":{"parts":[{"text":7}]}}]}""", "Malformed")]
    [InlineData("ollama", """{"error":"Hi"}""", "Overloaded")]
    [InlineData("ollama", """{"done":true}""", "Malformed")]
    [InlineData("ollama", """{"message":{"content":[]},"done":true}""", "Malformed")]
    [InlineData("ollama", """{"message":{"tool_calls":[{"function":{}}]},"done":true}""", "Malformed")]
    public async Task Call_FailureInTheAnswer_HasItsFaultAndNoContent(string kind, string body, string fault)
    {
        await using var provider = await LoopbackProvider.StartAsync(body);
        using var client = Sample.Client(kind, provider);
        var error = await Assert.ThrowsAsync<ProviderException>(
            () => client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation));
        Assert.Equal(fault, error.Fault.ToString());
        Assert.DoesNotContain("Hi", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("responses",
        """
        {"type":"error","code":"rate_limit_exceeded","message":"Hi","param":null}
        """, "RateLimited")]
    [InlineData("responses", """{"type":"error","error":{"type":"server_error","message":"Hi"}}""", "Overloaded")]
    [InlineData("responses",
        """
        {"type":"response.failed","response":{"status":"failed","error":{"code":"server_error"}}}
        """, "Overloaded")]
    [InlineData("gemini", """{"error":{"code":500,"status":"INTERNAL","message":"Hi"}}""", "Overloaded")]
    [InlineData("ollama", """{"error":"an error was encountered while running the model: Hi"}""", "Overloaded")]
    public async Task GetStreamingResponse_ErrorAmongTheEvents_HasItsFault(string kind, string data, string fault)
    {
        var begun = kind == "ollama"
            ? Streams[kind].Split('\n')[0] + "\n"
            : string.Join("\n\n", Streams[kind].Split("\n\n")[..2]) + "\n\n";
        var error = await Assert.ThrowsAsync<ProviderException>(
            () => ReadAsync(kind, begun + (kind == "ollama" ? data + "\n" : Sse(data))));
        Assert.Equal(fault, error.Fault.ToString());
        Assert.DoesNotContain("Hi", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task GetStreamingResponse_PieceOverItsLimit_IsMalformed(string kind)
    {
        var error = await Assert.ThrowsAsync<ProviderException>(
            () => ReadAsync(kind, "data: " + new string('x', 5 * 1024 * 1024)));
        Assert.Equal(ProviderFault.Malformed, error.Fault);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task GetResponse_ZerosInThePlaceOfUsage_AreNoUsage(string kind)
    {
        var zeros = Regex.Replace(Answers[kind], "(?<=(tokens|Count|count)\":)[0-9]+", "0");
        await using var provider = await LoopbackProvider.StartAsync(zeros);
        using var client = Sample.Client(kind, provider);
        var response = await client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);
        Assert.Null(response.Usage?.InputTokenCount);
    }

    private static string Sse(params string[] data) =>
        ": c\n\n" + string.Concat(data.Select(one => $"event: x\ndata: {one.ReplaceLineEndings("")}\n\n"));

    private static string Lines(params string[] data) =>
        string.Join('\n', data.Select(one => one.ReplaceLineEndings("")));

    private static async Task<List<string>> ReadAsync(string kind, string stream, params int[] sizes)
    {
        using var http = new ProviderHttp(new PiecesHandler(stream, sizes));
        using var client = Sample.Client(kind, http, new Uri("http://sample"));
        var parts = new List<string>();
        await foreach (var update in client.GetStreamingResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation))
        {
            parts.AddRange(update.Contents.Select(Describe));
            if (update.FinishReason is { } reason)
            {
                parts.Add(reason.Value);
            }
        }

        return parts;
    }

    private static string Describe(AIContent content) => content switch
    {
        TextReasoningContent thought => "~" + thought.Text,
        TextContent text => text.Text,
        FunctionCallContent call => $"{call.CallId} {call.Name} {call.RawRepresentation}",
        UsageContent { Details: var usage } =>
            $"{usage.InputTokenCount}/{usage.OutputTokenCount}/{usage.CachedInputTokenCount}",
        _ => content.GetType().Name,
    };
}
