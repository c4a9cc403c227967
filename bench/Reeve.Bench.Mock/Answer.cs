using System.Globalization;
using System.Text;

namespace Reeve.Bench.Mock;

/// <summary>An answer of so many tokens, rendered once: whole, and as the frames of a stream.</summary>
internal sealed class Answer
{
    /// <summary>What every prompt is said to have cost; fixed, so that a run's price is known beforehand.</summary>
    internal const int PromptTokens = 24;

    private static readonly string[] Words =
        ["The", " steward", " keeps", " the", " accounts", " and", " answers", " for", " every", " coin", "."];

    internal Answer(int tokens)
    {
        var texts = Enumerable.Range(0, tokens).Select(i => i == 0 ? Words[0] : Words[1 + ((i - 1) % 10)]).ToArray();
        var usage = string.Create(
            CultureInfo.InvariantCulture,
            $"\"prompt_tokens\":{PromptTokens},\"completion_tokens\":{tokens},"
            + $"\"total_tokens\":{PromptTokens + tokens}");
        Whole = Encoding.UTF8.GetBytes(
            """{"id":"chatcmpl-mock","object":"chat.completion","created":1764000000,"model":"mock","choices":"""
            + """[{"index":0,"message":{"role":"assistant","content":""" + Quote(string.Concat(texts))
            + """},"finish_reason":"stop"}],"usage":{""" + usage + "}}");
        Frames = [.. texts.Select((text, i) => Frame(
            """[{"index":0,"delta":{""" + (i == 0 ? "\"role\":\"assistant\"," : "") + "\"content\":" + Quote(text)
            + """},"finish_reason":null}]"""))];
        var last = Frame("""[{"index":0,"delta":{},"finish_reason":"stop"}]""");
        var done = "data: [DONE]\n\n"u8.ToArray();
        End = [.. last, .. done];
        EndWithUsage = [.. last, .. Frame("[]", ",\"usage\":{" + usage + "}"), .. done];
    }

    internal byte[] Whole { get; }

    internal byte[][] Frames { get; }

    internal byte[] End { get; }

    /// <summary>As <see cref="End"/>, for a caller who asked with <c>stream_options.include_usage</c>.</summary>
    internal byte[] EndWithUsage { get; }

    private static string Quote(string text) => $"\"{text}\"";

    private static byte[] Frame(string choices, string more = "") => Encoding.UTF8.GetBytes(
        """data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1764000000,"""
        + "\"model\":\"mock\",\"choices\":"
        + choices + more + "}\n\n");
}
