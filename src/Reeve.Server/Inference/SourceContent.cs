using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference;

/// <summary>
/// A retrieved chunk as a part of a request's message. Adapters write it as text between marks; the built-in model
/// reads it as it is.
/// </summary>
internal sealed class SourceContent(string chunkId, string documentName, IReadOnlyList<string> headings, string text)
    : AIContent
{
    internal string ChunkId { get; } = chunkId;

    internal string DocumentName { get; } = documentName;

    internal IReadOnlyList<string> Headings { get; } = headings;

    internal string Text { get; } = text;

    /// <summary>Where it stands: chunks with the next index follow each other. Null: not known.</summary>
    internal (string DocumentId, int Index)? Position { get; init; }

    /// <summary>The chunks in what the knowledge tool answered; none in any other JSON.</summary>
    internal static IEnumerable<SourceContent> Found(JsonElement result)
    {
        if (result.ValueKind != JsonValueKind.Array)
        {
            yield break;
        }

        foreach (var item in result.EnumerateArray())
        {
            if (item.ValueKind == JsonValueKind.Object && Member(item, "chunkId") is { } id
                && Member(item, "text") is { } text)
            {
                yield return new SourceContent(id, Member(item, "name") ?? "", [], text);
            }
        }
    }

    private static string? Member(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
