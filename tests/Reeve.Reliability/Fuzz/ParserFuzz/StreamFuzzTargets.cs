using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;
using Reeve.Server;
using Reeve.Server.Egress;
using Reeve.Server.Inference;
using Reeve.Server.Inference.Providers;
using Reeve.Server.Inference.Providers.Gemini;
using Reeve.Server.Inference.Providers.Ollama;
using Reeve.Server.Inference.Providers.OpenAI;

namespace Reeve.Reliability.Fuzz.ParserFuzz;

/// <summary>The streams of providers, and what must hold of any answer that was read from one.</summary>
internal static class StreamFuzzTargets
{
    private const long TokensMax = 400_000_000;

    private static readonly IdGenerator Ids = new(TimeProvider.System);

    private static readonly OpenAIEmbeddings Vectors = new(
        new ProviderTools(
            new ProviderHttp(), new ProviderHealth(TimeProvider.System), TimeProvider.System, Ids, NullLogger.Instance),
        new ProviderEndpoint
        {
            Provider = "fuzz",
            Uri = new Uri("http://127.0.0.1"),
            Headers = [],
            SilenceMax = static () => TimeSpan.FromSeconds(1),
        },
        Simulation.SimModel.Describe("fuzz/m"));

    internal static readonly IReadOnlyList<FuzzTarget> All =
    [
        new("streams (Responses)", 40, static bytes => Read(bytes, new ResponsesAnswer(), Sse),
            FuzzTargets.IsProviderFault,
            """
            event: response.created
            data: {"type":"response.created","response":{"object":"response","status":"in_progress","output":[]}}

            data: {"type":"response.output_text.delta","output_index":0,"delta":"Hi"}

            data: {"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"c"}}

            data: {"type":"response.function_call_arguments.delta","output_index":1,"delta":"{}"}

            data: {"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","name":"f"}}

            data: {"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":40,
            data: "output_tokens":20,"input_tokens_details":{"cached_tokens":8}}}}


            """),
        new("streams (Gemini)", 40, static bytes => Read(bytes, new GeminiAnswer(), Sse), FuzzTargets.IsProviderFault,
            """
            data: {"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},{"text":"Hi"}]}}]}

            data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}}}]}}]}

            data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":40,
            data: "candidatesTokenCount":17,"thoughtsTokenCount":3,"cachedContentTokenCount":8}}


            """),
        new("streams (Ollama)", 40, static bytes => Read(
                bytes, new OllamaAnswer(), static read => new NdjsonReader(read)), FuzzTargets.IsProviderFault,
            """
            {"model":"m","message":{"role":"assistant","content":"Hi","thinking":"hm"},"done":false}
            {"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":false}

            {"message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":40,"eval_count":20}
            """),
        new("embeddings", 20, ReadVectors, FuzzTargets.IsProviderFault,
            """
            {"data":[{"index":1,"embedding":[0.25,-1e-3]},{"index":0,"embedding":[1,2]}],"usage":{"prompt_tokens":5}}
            """),
    ];

    internal static void Read(
        ReadOnlyMemory<byte> bytes, ProviderAnswer answer, Func<ReadBytes, IEventReader> newReader)
    {
        var left = bytes;
        using var events = newReader(buffer =>
        {
            // In pieces, since those of a network are, too.
            var count = Math.Min(Math.Min(buffer.Length, 61), left.Length);
            left[..count].CopyTo(buffer);
            left = left[count..];
            return new ValueTask<int>(count);
        });
        while (!answer.IsOver && FuzzTargets.Wait(events.MoveAsync()) && !events.Data.SequenceEqual("[DONE]"u8))
        {
            answer.Read("fuzz", events.Data);
        }

        End(answer);
    }

    internal static void End(ProviderAnswer answer)
    {
        answer.Calls.MoveTo(new List<AIContent>(), Ids);
        if (answer.Usage.ToDetails() is not { } usage)
        {
            return;
        }

        long?[] all =
        [
            usage.InputTokenCount, usage.OutputTokenCount, usage.TotalTokenCount, usage.CachedInputTokenCount,
            usage.ReasoningTokenCount, usage.AdditionalCounts?.GetValueOrDefault(UsageFigures.CacheWrittenKey),
        ];
        if (all.Any(static tokens => tokens is < 0 or > TokensMax)
            || (usage.CachedInputTokenCount ?? 0) + (all[^1] ?? 0) > (usage.InputTokenCount ?? 0))
        {
            throw new FuzzException("tokens that no call can have were taken");
        }
    }

    private static SseReader Sse(ReadBytes read) => new(read);

    private static void ReadVectors(ReadOnlyMemory<byte> bytes)
    {
        var vectors = new float[2][];
        if (Vectors.ReadAnswer(bytes, vectors) is < 0 or > TokensMax
            || vectors.Any(static vector => vector?.All(float.IsFinite) == false))
        {
            throw new FuzzException("a figure that cannot be was taken");
        }
    }
}
