using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers.OpenAI;

/// <summary>
/// Reads an answer of chat completions, whole or in chunks: both have the same shape, with <c>message</c> in the one
/// and <c>delta</c> in the other.
/// </summary>
internal sealed class OpenAIAnswer : ProviderAnswer
{
    internal override UsageFigures Usage { get; } = new();

    private protected override void ReadJson(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        ExpectObject(ref reader);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("choices"u8))
            {
                ReadChoices(ref reader, json);
            }
            else if (reader.ValueTextEquals("usage"u8))
            {
                ReadUsage(ref reader);
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                ReadError(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }

        ExpectEnd(ref reader);
    }

    private void ReadChoices(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        if (!MoveToArray(ref reader))
        {
            return;
        }

        var first = true;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            ExpectObject(ref reader);
            if (!first)
            {
                // One choice was asked for; a server that sends more is not listened to further.
                reader.Skip();
                continue;
            }

            first = false;
            HasBegun = true;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("delta"u8) || reader.ValueTextEquals("message"u8))
                {
                    ReadMessage(ref reader, json);
                }
                else if (reader.ValueTextEquals("finish_reason"u8))
                {
                    ReadFinish(ref reader);
                }
                else
                {
                    reader.Skip();
                }
            }
        }
    }

    private void ReadMessage(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
        {
            return;
        }

        ExpectObject(ref reader);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("content"u8))
            {
                ReadContent(ref reader);
            }
            else if (reader.ValueTextEquals("refusal"u8))
            {
                // A refusal stands in the place of the text and is what the caller should read.
                Append(JsonText.Next(ref reader));
            }
            else if (reader.ValueTextEquals("reasoning_content"u8) || reader.ValueTextEquals("reasoning"u8))
            {
                ReadReasoning(ref reader);
            }
            else if (reader.ValueTextEquals("tool_calls"u8))
            {
                ReadCalls(ref reader, json);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    /// <summary>
    /// Two names are in use for it, and a server that knows both sends the same by both.
    /// </summary>
    private void ReadReasoning(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.String && Thought is null)
        {
            Think(JsonText.Current(ref reader));
        }
        else
        {
            reader.Skip();
        }
    }

    private void ReadContent(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            Append(JsonText.Current(ref reader));
            return;
        }

        // Some servers send parts; those that are no text (thoughts, references) are not part of the answer.
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            ExpectObject(ref reader);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("text"u8))
                {
                    Append(JsonText.Next(ref reader));
                }
                else
                {
                    reader.Skip();
                }
            }
        }
    }

    private void ReadCalls(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        if (!MoveToArray(ref reader))
        {
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            ExpectObject(ref reader);
            ReadCall(ref reader, json);
        }
    }

    private void ReadCall(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        long? index = null;
        string? id = null, name = null, arguments = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("index"u8))
            {
                reader.Read();
                index = reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var number) ? number : null;
            }
            else if (reader.ValueTextEquals("id"u8))
            {
                id = JsonText.Next(ref reader);
            }
            else if (reader.ValueTextEquals("function"u8))
            {
                reader.Read();
                ExpectObject(ref reader);
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    if (reader.ValueTextEquals("name"u8))
                    {
                        name = JsonText.Next(ref reader);
                    }
                    else if (reader.ValueTextEquals("arguments"u8))
                    {
                        arguments = ReadArguments(ref reader, json);
                    }
                    else
                    {
                        reader.Skip();
                    }
                }
            }
            else
            {
                reader.Skip();
            }
        }

        Calls.Add(index, id, name, arguments);
    }

    private static string? ReadArguments(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return JsonText.Current(ref reader);
        }

        // A few servers send the object itself instead of its text.
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return Encoding.UTF8.GetString(json[start..(int)reader.BytesConsumed]);
    }

    private void ReadFinish(ref Utf8JsonReader reader)
    {
        var reason = JsonText.Next(ref reader);
        if (reason is { Length: > 0 })
        {
            Finish = reason switch
            {
                "length" => ChatFinishReason.Length,
                "tool_calls" or "function_call" => ChatFinishReason.ToolCalls,
                "content_filter" => ChatFinishReason.ContentFilter,
                _ => ChatFinishReason.Stop,
            };
        }
    }

    private void ReadUsage(ref Utf8JsonReader reader)
    {
        if (!MoveToObject(ref reader))
        {
            return;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("prompt_tokens"u8))
            {
                Usage.Input = Usage.Next(ref reader);
            }
            else if (reader.ValueTextEquals("completion_tokens"u8))
            {
                Usage.Output = Usage.Next(ref reader);
            }
            else if (reader.ValueTextEquals("prompt_tokens_details"u8)
                || reader.ValueTextEquals("completion_tokens_details"u8))
            {
                ReadDetails(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private void ReadDetails(ref Utf8JsonReader reader)
    {
        if (!MoveToObject(ref reader))
        {
            return;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("cached_tokens"u8))
            {
                Usage.CachedInput = Usage.Next(ref reader);
            }
            else if (reader.ValueTextEquals("reasoning_tokens"u8))
            {
                Usage.Reasoning = Usage.Next(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private static void ReadError(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
        {
            return;
        }

        var error = JsonElement.ParseValue(ref reader);
        throw ProviderRefusal.FromBody(error);
    }
}
