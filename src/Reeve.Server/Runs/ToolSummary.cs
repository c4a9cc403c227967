using System.Text.Json;

namespace Reeve.Server.Runs;

/// <summary><c>result_summary</c> of wire-mesh 2.1: one line on what a tool gave back.</summary>
internal static class ToolSummary
{
    private const int CharactersMax = 200;

    internal static string Of(JsonElement result) => result.ValueKind switch
    {
        JsonValueKind.Object when result.TryGetProperty("summary", out var summary)
            && summary.ValueKind == JsonValueKind.String => summary.GetString()!,
        JsonValueKind.Object when result.TryGetProperty("error", out var error)
            && error.ValueKind == JsonValueKind.String => Cut(error.GetString()!),
        JsonValueKind.Array => result.GetArrayLength() is 1 ? "1 result" : $"{result.GetArrayLength()} results",
        JsonValueKind.String => Cut(result.GetString()!),
        _ => Cut(result.GetRawText()),
    };

    private static string Cut(string text)
    {
        if (text.Length <= CharactersMax)
        {
            return text;
        }

        var length = 0;
        for (var count = 0; count < CharactersMax && length < text.Length; count++)
        {
            length += char.IsHighSurrogate(text[length]) && length + 1 < text.Length ? 2 : 1;
        }

        return text[..length];
    }
}
