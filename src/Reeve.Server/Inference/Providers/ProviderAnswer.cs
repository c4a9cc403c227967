using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers;

/// <summary>What has been read of an answer, which comes as one JSON object or as the events of a stream.</summary>
internal abstract class ProviderAnswer
{
    /// <summary>The text of what was read last; null when it had none.</summary>
    internal string? Text { get; private set; }

    /// <summary>What the model thought in what was read last; it is no part of the answer.</summary>
    internal string? Thought { get; private set; }

    /// <summary>True from the first piece that belongs to an answer.</summary>
    internal bool HasBegun { get; private protected set; }

    /// <summary>Why the model stopped; null while it has not.</summary>
    internal ChatFinishReason? Finish { get; private protected set; }

    /// <summary>True when nothing is to follow.</summary>
    internal bool IsOver { get; private protected set; }

    internal ToolCallAssembler Calls { get; } = new();

    internal abstract UsageFigures Usage { get; }

    /// <summary>Reads a whole answer or the data of one event.</summary>
    /// <exception cref="ProviderException">It is not what the protocol says, or it is an error.</exception>
    internal void Read(string provider, ReadOnlySpan<byte> json)
    {
        (Text, Thought) = (null, null);
        try
        {
            ReadJson(json);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException)
        {
            // A number that does not fit is a FormatException.
            throw new ProviderException(
                ProviderFault.Malformed, $"An answer of {provider} is not the JSON of its protocol.");
        }
    }

    private protected abstract void ReadJson(ReadOnlySpan<byte> json);

    private protected void Append(string? text)
    {
        if (text is { Length: > 0 })
        {
            Text = Text is null ? text : Text + text;
        }
    }

    private protected void Think(string? text)
    {
        if (text is { Length: > 0 })
        {
            Thought = Thought is null ? text : Thought + text;
        }
    }

    private protected static void ExpectObject(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("An object was expected.");
        }
    }

    /// <summary>Moves to the value: true for an array, false for <c>null</c>.</summary>
    private protected static bool MoveToArray(ref Utf8JsonReader reader)
    {
        reader.Read();
        return reader.TokenType switch
        {
            JsonTokenType.StartArray => true,
            JsonTokenType.Null => false,
            _ => throw new JsonException("An array was expected."),
        };
    }

    /// <summary>Moves to the value: true for an object; anything else is passed over.</summary>
    private protected static bool MoveToObject(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            return true;
        }

        reader.Skip();
        return false;
    }

    /// <summary>Reads the whole as one object; whoever asks for it disposes of it.</summary>
    private protected static JsonDocument ReadDocument(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        ExpectObject(ref reader);
        var document = JsonDocument.ParseValue(ref reader);
        ExpectEnd(ref reader);
        return document;
    }

    private protected static void ExpectEnd(ref Utf8JsonReader reader)
    {
        if (reader.Read())
        {
            throw new JsonException("Something follows the object.");
        }
    }
}
