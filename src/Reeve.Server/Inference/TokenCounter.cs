using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.ML.Tokenizers;

namespace Reeve.Server.Inference;

/// <summary>
/// Tokens of text: counted by the o200k vocabulary where money depends on it and the provider said nothing, estimated
/// from the length where a hold is to be taken. The vocabulary takes some 60 MB, so it is loaded when first needed.
/// </summary>
internal static class TokenCounter
{
    /// <summary>Role, separators: what a provider adds to each message.</summary>
    private const int MessageTokens = 4;

    /// <summary>What a provider adds to each tool around its schema.</summary>
    private const int ToolTokens = 12;

    /// <summary>
    /// An image is priced by its pixels, which we do not look at; this is near the most that providers take.
    /// </summary>
    private const int ImageTokens = 1_600;

    /// <summary>
    /// The tokenizer's work grows with the square of a run that has no break in it, so text is cut into pieces. The cut
    /// is before a space where there is one near, and changes nothing there.
    /// </summary>
    private const int PieceCharacters = 1024;

    private const int BreakCharacters = 128;

    private static readonly Lazy<TiktokenTokenizer> Tokenizer =
        new(() => TiktokenTokenizer.CreateForEncoding("o200k_base"));

    internal static int Count(string text)
    {
        var count = 0;
        for (var rest = text.AsSpan(); rest.Length > 0;)
        {
            var piece = rest[..PieceLength(rest)];
            count += Tokenizer.Value.CountTokens(piece);
            rest = rest[piece.Length..];
        }

        return count;
    }

    /// <summary>
    /// One token for each 3 bytes of UTF-8, rounded up. English has about 4.4 bytes a token, German 4, code 3.2,
    /// Chinese 4 (1.4 characters), so this is rather over than under; only text that is dense in digits or signs has
    /// more.
    /// </summary>
    internal static int Estimate(string text) => EstimateBytes(Encoding.UTF8.GetByteCount(text));

    /// <summary>Messages, tools and the schema of the output, with what a provider adds to each.</summary>
    internal static int CountPrompt(
        IEnumerable<ChatMessage> messages, IEnumerable<AITool>? tools, JsonElement? outputSchema = null) =>
        Sum(messages, tools, outputSchema, counted: true);

    /// <summary>As <see cref="CountPrompt"/>, without the vocabulary.</summary>
    internal static int EstimatePrompt(
        IEnumerable<ChatMessage> messages, IEnumerable<AITool>? tools, JsonElement? outputSchema = null) =>
        Sum(messages, tools, outputSchema, counted: false);

    private static int PieceLength(ReadOnlySpan<char> rest)
    {
        if (rest.Length <= PieceCharacters)
        {
            return rest.Length;
        }

        const int Start = PieceCharacters - BreakCharacters;
        var space = rest[Start..PieceCharacters].LastIndexOf(' ');
        return space >= 0 ? Start + space
            : char.IsHighSurrogate(rest[PieceCharacters - 1]) ? PieceCharacters - 1
            : PieceCharacters;
    }

    private static int EstimateBytes(int bytes) => (int)(((long)bytes + 2) / 3);

    private static int Sum(
        IEnumerable<ChatMessage> messages, IEnumerable<AITool>? tools, JsonElement? outputSchema, bool counted)
    {
        var total = outputSchema is { } schema ? ToolTokens + Of(schema, counted) : 0L;
        foreach (var message in messages)
        {
            total += MessageTokens;
            foreach (var content in message.Contents)
            {
                total += Of(content, counted);
            }
        }

        foreach (var tool in tools ?? [])
        {
            total += ToolTokens + Of(tool.Name, counted) + Of(tool.Description, counted);
            if (tool is AIFunctionDeclaration function)
            {
                total += Of(function.JsonSchema, counted);
            }
        }

        return (int)Math.Min(total, int.MaxValue);
    }

    private static int Of(JsonElement json, bool counted) =>
        counted ? Count(json.GetRawText()) : EstimateBytes(JsonMarshal.GetRawUtf8Value(json).Length);

    private static int Of(AIContent content, bool counted) => content switch
    {
        TextContent text => Of(text.Text, counted),
        SourceContent source =>
            counted ? Count(SourceText.Render(source)) : EstimateBytes(SourceText.BytesMax(source)),
        FunctionCallContent call =>
            MessageTokens + Of(call.Name, counted) + Of(Providers.JsonValues.ArgumentsText(call), counted),
        FunctionResultContent result => MessageTokens + Of(Providers.JsonValues.Text(result.Result), counted),
        DataContent or UriContent => ImageTokens,
        _ => 0,
    };

    private static int Of(string text, bool counted) => counted ? Count(text) : Estimate(text);
}
