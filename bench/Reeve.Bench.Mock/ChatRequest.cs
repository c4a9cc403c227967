using System.Buffers;
using System.Text.Json;

namespace Reeve.Bench.Mock;

/// <summary>The three facts of a chat completions body that change the answer.</summary>
internal readonly record struct ChatRequest(string? Model, bool Stream, bool IncludeUsage)
{
    internal static ChatRequest Parse(ReadOnlySequence<byte> body)
    {
        var reader = new Utf8JsonReader(body);
        var request = default(ChatRequest);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("model"u8))
            {
                reader.Read();
                if (reader.TokenType != JsonTokenType.String)
                {
                    throw new FormatException("model is a string.");
                }

                // The plain model stays null: the usual request allocates no string.
                request = request with { Model = reader.ValueTextEquals("mock"u8) ? null : reader.GetString() };
            }
            else if (reader.ValueTextEquals("stream"u8))
            {
                reader.Read();
                request = request with { Stream = reader.TokenType == JsonTokenType.True };
            }
            else if (reader.ValueTextEquals("stream_options"u8))
            {
                request = request with { IncludeUsage = AsksForUsage(ref reader) };
            }
            else
            {
                reader.Skip();
            }
        }

        return request;
    }

    private static bool AsksForUsage(ref Utf8JsonReader reader)
    {
        var asks = false;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return asks;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isUsage = reader.ValueTextEquals("include_usage"u8);
            reader.Read();
            asks |= isUsage && reader.TokenType == JsonTokenType.True;
            reader.Skip();
        }

        return asks;
    }
}
