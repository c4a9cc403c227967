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

    private static readonly ChatRole Developer = new("developer");

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

    internal static void WriteNumber(Utf8JsonWriter writer, string name, float? value)
    {
        if (value is { } number)
        {
            writer.WriteNumber(name, number);
        }
    }

    internal static void WriteNumber(Utf8JsonWriter writer, string name, long? value)
    {
        if (value is { } number)
        {
            writer.WriteNumber(name, number);
        }
    }

    internal static void WriteStops(Utf8JsonWriter writer, string name, ChatOptions options)
    {
        if (options.StopSequences is { Count: > 0 } stops)
        {
            writer.WriteStartArray(name);
            foreach (var stop in stops)
            {
                writer.WriteStringValue(stop);
            }

            writer.WriteEndArray();
        }
    }

    /// <summary>A part that no adapter can send is a mistake of ours, not of the caller.</summary>
    internal static NotSupportedException Unsendable(AIContent content) =>
        new($"A message part of type {content.GetType().Name} cannot be sent to this provider.");

    internal static AIFunctionDeclaration Function(AITool tool) => tool as AIFunctionDeclaration
        ?? throw new NotSupportedException($"A tool of type {tool.GetType().Name} cannot be offered to a model.");

    /// <summary>
    /// System messages go by two names; the newer is known to some servers only, the older to all.
    /// </summary>
    internal static bool IsSystem(ChatMessage message) =>
        message.Role == ChatRole.System || message.Role == Developer;

    /// <summary>The image in a part: bytes, or the address of one, which we never fetch.</summary>
    internal static PromptImage Image(AIContent content) => content switch
    {
        DataContent data when IsImage(data.MediaType) => new PromptImage(data, null, data.MediaType),
        UriContent { Uri.Scheme: "data" } uri => Image(new DataContent(uri.Uri.OriginalString)),
        UriContent { Uri.Scheme: "http" or "https" } uri when IsImage(uri.MediaType) =>
            new PromptImage(null, uri.Uri, uri.MediaType),
        _ => throw Unsendable(content),
    };

    /// <summary>For protocols in which an image is an address, which may be <c>data:</c> with its bytes.</summary>
    internal static string ImageAddress(AIContent content)
    {
        var image = Image(content);
        return image.Data?.Uri ?? image.Address!.AbsoluteUri;
    }

    /// <summary>The bytes of an image for a protocol that takes nothing else.</summary>
    internal static DataContent ImageBytes(AIContent content, string provider) => Image(content).Data
        ?? throw new ProviderException(
            ProviderFault.BadRequest, $"{provider} takes images as bytes only, not by their address.");

    private static bool IsImage(string mediaType) =>
        mediaType.StartsWith("image/", StringComparison.OrdinalIgnoreCase);
}

/// <summary>One of the two is there.</summary>
internal readonly record struct PromptImage(DataContent? Data, Uri? Address, string MediaType);
