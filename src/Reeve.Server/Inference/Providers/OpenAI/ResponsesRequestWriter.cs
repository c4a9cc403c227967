using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers.OpenAI;

/// <summary>
/// Writes the body of <c>POST /responses</c>. The whole history goes along and nothing is stored there. The protocol
/// has no stop sequences, seed or penalties.
/// </summary>
internal static class ResponsesRequestWriter
{
    /// <summary>The protocol refuses a smaller limit.</summary>
    private const int OutputTokensMin = 16;

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
            writer.WriteBoolean("store"u8, false);
            if (streamed)
            {
                writer.WriteBoolean("stream"u8, true);
            }

            if (options?.Instructions is { Length: > 0 } instructions)
            {
                writer.WriteString("instructions"u8, instructions);
            }

            WriteInput(writer, messages);
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

    /// <summary>Messages, calls and results are items of one list.</summary>
    private static void WriteInput(Utf8JsonWriter writer, IEnumerable<ChatMessage> messages)
    {
        writer.WriteStartArray("input"u8);
        foreach (var message in messages)
        {
            foreach (var result in message.Contents.OfType<FunctionResultContent>())
            {
                writer.WriteStartObject();
                writer.WriteString("type"u8, "function_call_output"u8);
                writer.WriteString("call_id"u8, result.CallId);
                writer.WriteString("output"u8, JsonValues.Text(result.Result));
                writer.WriteEndObject();
            }

            if (message.Role != ChatRole.Tool)
            {
                WriteMessage(writer, message);
            }

            foreach (var call in message.Contents.OfType<FunctionCallContent>())
            {
                writer.WriteStartObject();
                writer.WriteString("type"u8, "function_call"u8);
                writer.WriteString("call_id"u8, call.CallId);
                writer.WriteString("name"u8, call.Name);
                writer.WriteString("arguments"u8, JsonValues.ArgumentsText(call));
                writer.WriteEndObject();
            }
        }

        writer.WriteEndArray();
    }

    private static void WriteMessage(Utf8JsonWriter writer, ChatMessage message)
    {
        var hasImages = message.Contents.Any(static content => content is DataContent or UriContent);
        if (!hasImages && !PromptWriter.HasText(message.Contents))
        {
            return;
        }

        writer.WriteStartObject();
        writer.WriteString("role"u8, PromptWriter.IsSystem(message) ? "system" : message.Role.Value);
        writer.WritePropertyName("content"u8);
        if (hasImages)
        {
            WriteParts(writer, message.Contents);
        }
        else
        {
            PromptWriter.WriteText(writer, message.Contents);
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
                writer.WriteString("type"u8, "input_image"u8);
                writer.WriteString("image_url"u8, PromptWriter.ImageAddress(content));
                writer.WriteEndObject();
            }
            else if (PromptWriter.TextOf(content) is { } text)
            {
                writer.WriteStartObject();
                writer.WriteString("type"u8, "input_text"u8);
                writer.WriteString("text"u8, text);
                writer.WriteEndObject();
            }
        }

        writer.WriteEndArray();
    }

    private static void WriteSampling(Utf8JsonWriter writer, ChatOptions options, IReadOnlySet<string> without)
    {
        if (options.MaxOutputTokens is { } outputMax)
        {
            writer.WriteNumber("max_output_tokens"u8, Math.Max(outputMax, OutputTokensMin));
        }

        PromptWriter.WriteNumber(
            writer, "temperature", without.Contains("temperature") ? null : options.Temperature);
        PromptWriter.WriteNumber(writer, "top_p", without.Contains("top_p") ? null : options.TopP);
    }

    private static void WriteTools(Utf8JsonWriter writer, ChatOptions options, IReadOnlySet<string> without)
    {
        if (options.Tools is not { Count: > 0 } tools)
        {
            return;
        }

        writer.WriteStartArray("tools"u8);
        foreach (var function in tools.Select(PromptWriter.Function))
        {
            writer.WriteStartObject();
            writer.WriteString("type"u8, "function"u8);
            writer.WriteString("name"u8, function.Name);
            writer.WriteString("description"u8, function.Description);
            writer.WritePropertyName("parameters"u8);
            function.JsonSchema.WriteTo(writer);

            // Said, since strict is what the protocol does otherwise, and that takes a subset of JSON Schema only.
            writer.WriteBoolean("strict"u8, false);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        switch (options.ToolMode)
        {
            case NoneChatToolMode:
                writer.WriteString("tool_choice"u8, "none"u8);
                break;
            case RequiredChatToolMode { RequiredFunctionName: { } name }:
                writer.WriteStartObject("tool_choice"u8);
                writer.WriteString("type"u8, "function"u8);
                writer.WriteString("name"u8, name);
                writer.WriteEndObject();
                break;
            case RequiredChatToolMode:
                writer.WriteString("tool_choice"u8, "required"u8);
                break;
            default:
                // "auto" is what servers do when nothing is said.
                break;
        }

        if (options.AllowMultipleToolCalls is { } parallel && !without.Contains("parallel_tool_calls"))
        {
            writer.WriteBoolean("parallel_tool_calls"u8, parallel);
        }
    }

    private static void WriteFormat(Utf8JsonWriter writer, ChatResponseFormat? format)
    {
        if (format is not ChatResponseFormatJson json)
        {
            return;
        }

        writer.WriteStartObject("text"u8);
        writer.WriteStartObject("format"u8);
        if (json.Schema is { } schema)
        {
            writer.WriteString("type"u8, "json_schema"u8);
            writer.WriteString("name"u8, json.SchemaName ?? "output");
            if (json.SchemaDescription is { Length: > 0 } description)
            {
                writer.WriteString("description"u8, description);
            }

            writer.WritePropertyName("schema"u8);
            schema.WriteTo(writer);
            writer.WriteBoolean("strict"u8, false);
        }
        else
        {
            writer.WriteString("type"u8, "json_object"u8);
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}
