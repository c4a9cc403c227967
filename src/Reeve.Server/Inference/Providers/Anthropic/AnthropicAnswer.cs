using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers.Anthropic;

/// <summary>
/// Reads an answer of the Messages API: a <c>message</c>, or the events <c>message_start</c>,
/// <c>content_block_start</c>, <c>content_block_delta</c>, <c>message_delta</c>, <c>message_stop</c> and <c>error</c>.
/// Members may come in any order, so an event is read first and acted on at its end.
/// </summary>
internal sealed class AnthropicAnswer(bool outputIsToolInput) : ProviderAnswer
{
    private readonly UsageFigures _usage = new();
    private long? _input;
    private long? _cacheWritten;
    private long? _cacheRead;

    /// <summary>Input tokens are reported in three parts, of which two are left out where there is no cache.</summary>
    internal override UsageFigures Usage
    {
        get
        {
            _usage.Input = _input is null ? null : _input + (_cacheWritten ?? 0) + (_cacheRead ?? 0);
            _usage.CachedInput = _cacheRead;
            _usage.CacheWritten = _cacheWritten;
            return _usage;
        }
    }

    private protected override void ReadJson(ReadOnlySpan<byte> json)
    {
        string? type = null;
        long? index = null;
        var block = default(Block);
        var reader = new Utf8JsonReader(json);
        reader.Read();
        ExpectObject(ref reader);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("type"u8))
            {
                type = JsonText.Next(ref reader);
            }
            else if (reader.ValueTextEquals("index"u8))
            {
                reader.Read();
                index = reader.GetInt64();
            }
            else if (reader.ValueTextEquals("delta"u8) || reader.ValueTextEquals("content_block"u8))
            {
                reader.Read();
                block = ReadBlock(ref reader, json);
            }
            else if (reader.ValueTextEquals("content"u8))
            {
                ReadContent(ref reader, json);
            }
            else if (reader.ValueTextEquals("message"u8))
            {
                ReadStart(ref reader);
            }
            else if (reader.ValueTextEquals("usage"u8))
            {
                ReadUsage(ref reader, isFinal: true);
            }
            else if (reader.ValueTextEquals("stop_reason"u8))
            {
                ReadStop(JsonText.Next(ref reader));
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                reader.Read();
                throw ProviderRefusal.FromBody(JsonElement.ParseValue(ref reader));
            }
            else
            {
                reader.Skip();
            }
        }

        ExpectEnd(ref reader);
        Act(type, index, block);
    }

    private void Act(string? type, long? index, in Block block)
    {
        switch (type)
        {
            case "message" or "message_start":
                HasBegun = true;
                break;
            case "content_block_start" when block.Type == "tool_use":
                // The input of a streamed call starts as an empty object and comes in pieces after it.
                if (!outputIsToolInput)
                {
                    Calls.Add(index, block.Id, block.Name, block.Input is "{}" ? null : block.Input);
                }

                break;
            case "content_block_start" or "content_block_delta":
                if (outputIsToolInput)
                {
                    Append(block.PartialJson);
                }
                else if (block.PartialJson is not null)
                {
                    Calls.Add(index, null, null, block.PartialJson);
                }

                Append(outputIsToolInput ? null : block.Text);
                Think(block.Thinking);
                break;
            case "message_delta":
                ReadStop(block.StopReason);
                break;
            case "message_stop":
                IsOver = true;
                break;
            default:
                // Pings, ends of blocks, and what a later version of the protocol adds.
                break;
        }
    }

    private void ReadContent(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        if (!MoveToArray(ref reader))
        {
            return;
        }

        for (var ordinal = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; ordinal++)
        {
            var block = ReadBlock(ref reader, json);
            switch (block.Type)
            {
                case "text" when !outputIsToolInput:
                    Append(block.Text);
                    break;
                case "tool_use" when outputIsToolInput:
                    Append(block.Input);
                    break;
                case "tool_use":
                    Calls.Add(ordinal, block.Id, block.Name, block.Input);
                    break;
                default:
                    // A sentence before the output that was asked for is no part of it.
                    Think(block.Thinking);
                    break;
            }
        }
    }

    private static Block ReadBlock(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        ExpectObject(ref reader);
        var block = default(Block);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("type"u8))
            {
                block.Type = JsonText.Next(ref reader);
            }
            else if (reader.ValueTextEquals("text"u8))
            {
                block.Text = JsonText.Next(ref reader);
            }
            else if (reader.ValueTextEquals("thinking"u8))
            {
                block.Thinking = JsonText.Next(ref reader);
            }
            else if (reader.ValueTextEquals("partial_json"u8))
            {
                block.PartialJson = JsonText.Next(ref reader);
            }
            else if (reader.ValueTextEquals("id"u8))
            {
                block.Id = JsonText.Next(ref reader);
            }
            else if (reader.ValueTextEquals("name"u8))
            {
                block.Name = JsonText.Next(ref reader);
            }
            else if (reader.ValueTextEquals("stop_reason"u8))
            {
                block.StopReason = JsonText.Next(ref reader);
            }
            else if (reader.ValueTextEquals("input"u8))
            {
                reader.Read();
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                block.Input = Encoding.UTF8.GetString(json[start..(int)reader.BytesConsumed]);
            }
            else
            {
                reader.Skip();
            }
        }

        return block;
    }

    private void ReadStart(ref Utf8JsonReader reader)
    {
        if (!MoveToObject(ref reader))
        {
            return;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("usage"u8))
            {
                ReadUsage(ref reader, isFinal: false);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    /// <summary>
    /// Later figures are totals and replace earlier ones; the output that a start reports is a guess.
    /// </summary>
    private void ReadUsage(ref Utf8JsonReader reader, bool isFinal)
    {
        if (!MoveToObject(ref reader))
        {
            return;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("input_tokens"u8))
            {
                _input = _usage.Next(ref reader) ?? _input;
            }
            else if (reader.ValueTextEquals("cache_creation_input_tokens"u8))
            {
                _cacheWritten = _usage.Next(ref reader) ?? _cacheWritten;
            }
            else if (reader.ValueTextEquals("cache_read_input_tokens"u8))
            {
                _cacheRead = _usage.Next(ref reader) ?? _cacheRead;
            }
            else if (isFinal && reader.ValueTextEquals("output_tokens"u8))
            {
                _usage.Output = _usage.Next(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private void ReadStop(string? reason)
    {
        if (reason is { Length: > 0 })
        {
            Finish = reason switch
            {
                "max_tokens" or "model_context_window_exceeded" => ChatFinishReason.Length,
                "refusal" => ChatFinishReason.ContentFilter,
                "tool_use" when !outputIsToolInput => ChatFinishReason.ToolCalls,
                _ => ChatFinishReason.Stop,
            };
        }
    }

    /// <summary>The members that blocks and deltas have between them.</summary>
    private struct Block
    {
        internal string? Type;
        internal string? Text;
        internal string? Thinking;
        internal string? PartialJson;
        internal string? Id;
        internal string? Name;
        internal string? Input;
        internal string? StopReason;
    }
}
