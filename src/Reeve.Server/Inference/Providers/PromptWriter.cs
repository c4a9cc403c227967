using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers;

/// <summary>What the adapters share in writing a request.</summary>
internal static class PromptWriter
{
    // A request is no HTML: what is not ASCII stays as it is, which is shorter and quicker.
    internal static readonly JsonWriterOptions Format = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
    };

    /// <summary>The text of a part; null for a part that is not text.</summary>
    internal static string? TextOf(AIContent content) => content switch
    {
        TextContent text => text.Text,
        SourceContent source => SourceText.Render(source),
        _ => null,
    };

    internal static bool HasText(IList<AIContent> contents)
    {
        foreach (var content in contents)
        {
            if (content is SourceContent || (content is TextContent text && !string.IsNullOrWhiteSpace(text.Text)))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// All text of a message as one JSON string. Pieces of text follow one another; a source stands alone.
    /// </summary>
    internal static void WriteText(Utf8JsonWriter writer, IList<AIContent> contents)
    {
        AIContent? before = null;
        foreach (var content in contents)
        {
            if (TextOf(content) is not { } text)
            {
                continue;
            }

            if (before is SourceContent || (before is not null && content is SourceContent))
            {
                writer.WriteStringValueSegment("\n\n", isFinalSegment: false);
            }

            writer.WriteStringValueSegment(text, isFinalSegment: false);
            before = content;
        }

        writer.WriteStringValueSegment("", isFinalSegment: true);
    }

    /// <summary>A part that no adapter can send is a mistake of ours, not of the caller.</summary>
    internal static NotSupportedException Unsendable(AIContent content) =>
        new($"A message part of type {content.GetType().Name} cannot be sent to this provider.");

    internal static AIFunctionDeclaration Function(AITool tool) => tool as AIFunctionDeclaration
        ?? throw new NotSupportedException($"A tool of type {tool.GetType().Name} cannot be offered to a model.");

    internal static bool IsImage(string mediaType) =>
        mediaType.StartsWith("image/", StringComparison.OrdinalIgnoreCase);
}
