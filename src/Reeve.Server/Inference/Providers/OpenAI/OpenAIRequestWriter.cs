using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers.OpenAI;

/// <summary>Writes the body of <c>POST /chat/completions</c>.</summary>
internal static class OpenAIRequestWriter
{
    internal static PooledBytes Write(
        Model model, IEnumerable<ChatMessage> messages, ChatOptions? options, bool streamed,
        IReadOnlySet<string> without)
    {
        var body = new PooledBytes(8 * 1024);
        try
        {
            using var writer = new Utf8JsonWriter(body, PromptWriter.Format);
            writer.WriteStartObject();
            writer.WriteString("model"u8, model.Upstream);
            WriteMessages(writer, messages, options);
            if (streamed)
            {
                writer.WriteBoolean("stream"u8, true);
                if (!without.Contains("stream_options"))
                {
                    writer.WriteStartObject("stream_options"u8);
                    writer.WriteBoolean("include_usage"u8, true);
                    writer.WriteEndObject();
                }
            }

            if (options is not null)
            {
                WriteSampling(writer, options, without);
                WriteTools(writer, options, without);
                WriteFormat(writer, options.ResponseFormat);
            }

            writer.WriteEndObject();
            writer.Flush();
            return body;
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    private static void WriteMessages(Utf8JsonWriter writer, IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        writer.WriteStartArray("messages"u8);
        if (options?.Instructions is { Length: > 0 } instructions)
        {
            writer.WriteStartObject();
            writer.WriteString("role"u8, "system"u8);
            writer.WriteString("content"u8, instructions);
            writer.WriteEndObject();
        }

        foreach (var message in messages)
        {
            WriteResults(writer, message);
            if (message.Role != ChatRole.Tool)
            {
                WriteMessage(writer, message);
            }
        }

        writer.WriteEndArray();
    }

    /// <summary>Each result is a message of its own in this protocol.</summary>
    private static void WriteResults(Utf8JsonWriter writer, ChatMessage message)
    {
        foreach (var content in message.Contents)
        {
            if (content is FunctionResultContent result)
            {
                writer.WriteStartObject();
                writer.WriteString("role"u8, "tool"u8);
                writer.WriteString("tool_call_id"u8, result.CallId);
                writer.WriteString("content"u8, JsonValues.Text(result.Result));
                writer.WriteEndObject();
            }
        }
    }

    private static void WriteMessage(Utf8JsonWriter writer, ChatMessage message)
    {
        var (hasParts, hasCalls) = (false, false);
        foreach (var content in message.Contents)
        {
            hasParts |= content is DataContent or UriContent;
            hasCalls |= content is FunctionCallContent;
        }

        writer.WriteStartObject();
        writer.WriteString("role"u8, PromptWriter.IsSystem(message) ? "system" : message.Role.Value);
        writer.WritePropertyName("content"u8);
        if (hasParts)
        {
            WriteParts(writer, message.Contents);
        }
        else if (hasCalls && !PromptWriter.HasText(message.Contents))
        {
            writer.WriteNullValue();
        }
        else
        {
            PromptWriter.WriteText(writer, message.Contents);
        }

        if (hasCalls)
        {
            WriteCalls(writer, message.Contents);
        }

        writer.WriteEndObject();
    }

    private static void WriteParts(Utf8JsonWriter writer, IList<AIContent> contents)
    {
        writer.WriteStartArray();
        foreach (var content in contents)
        {
            if (content is DataContent or UriContent)
            {
                writer.WriteStartObject();
                writer.WriteString("type"u8, "image_url"u8);
                writer.WriteStartObject("image_url"u8);
                writer.WriteString("url"u8, PromptWriter.ImageAddress(content));
                writer.WriteEndObject();
                writer.WriteEndObject();
            }
            else if (PromptWriter.TextOf(content) is { } text)
            {
                writer.WriteStartObject();
                writer.WriteString("type"u8, "text"u8);
                writer.WriteString("text"u8, text);
                writer.WriteEndObject();
            }
        }

        writer.WriteEndArray();
    }

    private static void WriteCalls(Utf8JsonWriter writer, IList<AIContent> contents)
    {
        writer.WriteStartArray("tool_calls"u8);
        foreach (var content in contents)
        {
            if (content is FunctionCallContent call)
            {
                writer.WriteStartObject();
                writer.WriteString("id"u8, call.CallId);
                writer.WriteString("type"u8, "function"u8);
                writer.WriteStartObject("function"u8);
                writer.WriteString("name"u8, call.Name);
                writer.WriteString("arguments"u8, JsonValues.ArgumentsText(call));
                writer.WriteEndObject();
                writer.WriteEndObject();
            }
        }

        writer.WriteEndArray();
    }

    private static void WriteSampling(Utf8JsonWriter writer, ChatOptions options, IReadOnlySet<string> without)
    {
        if (options.MaxOutputTokens is { } outputMax)
        {
            // Every compatible server knows max_tokens, the newest name only some; OpenAI's own reasoning models take
            // the newest alone. So max_tokens it is, until a server refuses it.
            writer.WriteNumber(
                without.Contains("max_tokens") ? "max_completion_tokens"u8 : "max_tokens"u8, outputMax);
        }

        PromptWriter.WriteNumber(
            writer, "temperature", without.Contains("temperature") ? null : options.Temperature);
        PromptWriter.WriteNumber(writer, "top_p", without.Contains("top_p") ? null : options.TopP);
        PromptWriter.WriteNumber(writer, "seed", without.Contains("seed") ? null : options.Seed);
        PromptWriter.WriteNumber(
            writer, "frequency_penalty", without.Contains("frequency_penalty") ? null : options.FrequencyPenalty);
        PromptWriter.WriteNumber(
            writer, "presence_penalty", without.Contains("presence_penalty") ? null : options.PresencePenalty);
        PromptWriter.WriteStops(writer, "stop", options);
    }

    private static void WriteTools(Utf8JsonWriter writer, ChatOptions options, IReadOnlySet<string> without)
    {
        if (options.Tools is not { Count: > 0 } tools)
        {
            return;
        }

        writer.WriteStartArray("tools"u8);
        foreach (var tool in tools)
        {
            var function = PromptWriter.Function(tool);
            writer.WriteStartObject();
            writer.WriteString("type"u8, "function"u8);
            writer.WriteStartObject("function"u8);
            writer.WriteString("name"u8, function.Name);
            writer.WriteString("description"u8, function.Description);
            writer.WritePropertyName("parameters"u8);
            function.JsonSchema.WriteTo(writer);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        WriteChoice(writer, options.ToolMode);
        if (options.AllowMultipleToolCalls is { } parallel && !without.Contains("parallel_tool_calls"))
        {
            writer.WriteBoolean("parallel_tool_calls"u8, parallel);
        }
    }

    private static void WriteChoice(Utf8JsonWriter writer, ChatToolMode? mode)
    {
        switch (mode)
        {
            case NoneChatToolMode:
                writer.WriteString("tool_choice"u8, "none"u8);
                break;
            case RequiredChatToolMode { RequiredFunctionName: { } name }:
                writer.WriteStartObject("tool_choice"u8);
                writer.WriteString("type"u8, "function"u8);
                writer.WriteStartObject("function"u8);
                writer.WriteString("name"u8, name);
                writer.WriteEndObject();
                writer.WriteEndObject();
                break;
            case RequiredChatToolMode:
                writer.WriteString("tool_choice"u8, "required"u8);
                break;
            default:
                // "auto" is what servers do when nothing is said.
                break;
        }
    }

    private static void WriteFormat(Utf8JsonWriter writer, ChatResponseFormat? format)
    {
        if (format is not ChatResponseFormatJson json)
        {
            return;
        }

        writer.WriteStartObject("response_format"u8);
        if (json.Schema is { } schema)
        {
            writer.WriteString("type"u8, "json_schema"u8);
            writer.WriteStartObject("json_schema"u8);
            writer.WriteString("name"u8, json.SchemaName ?? "output");
            if (json.SchemaDescription is { Length: > 0 } description)
            {
                writer.WriteString("description"u8, description);
            }

            // Not "strict": that takes a subset of JSON Schema only, and callers may use all of it.
            writer.WritePropertyName("schema"u8);
            schema.WriteTo(writer);
            writer.WriteEndObject();
        }
        else
        {
            writer.WriteString("type"u8, "json_object"u8);
        }

        writer.WriteEndObject();
    }
}
