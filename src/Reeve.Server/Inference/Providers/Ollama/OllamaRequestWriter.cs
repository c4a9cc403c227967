using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers.Ollama;

/// <summary>Writes the body of <c>POST /api/chat</c>.</summary>
internal static class OllamaRequestWriter
{
    internal static PooledBytes Write(
        Model model, string provider, IEnumerable<ChatMessage> messages, ChatOptions? options, bool streamed)
    {
        var body = new PooledBytes(8 * 1024);
        try
        {
            using var writer = new Utf8JsonWriter(body, PromptWriter.Format);
            writer.WriteStartObject();
            writer.WriteString("model"u8, model.Upstream);
            writer.WriteBoolean("stream"u8, streamed);
            WriteMessages(writer, provider, messages, options);
            WriteTools(writer, options);
            WriteFormat(writer, options?.ResponseFormat);
            WriteOptions(writer, model, options);
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

    private static void WriteMessages(
        Utf8JsonWriter writer, string provider, IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        writer.WriteStartArray("messages"u8);
        WriteInstructions(writer, options?.Instructions);
        WriteInstructions(writer, Demand(options));
        foreach (var message in messages)
        {
            foreach (var result in message.Contents.OfType<FunctionResultContent>())
            {
                writer.WriteStartObject();
                writer.WriteString("role"u8, "tool"u8);
                writer.WriteString("tool_name"u8, names.GetValueOrDefault(result.CallId, result.CallId));
                writer.WriteString("content"u8, JsonValues.Text(result.Result));
                writer.WriteEndObject();
            }

            if (message.Role != ChatRole.Tool)
            {
                WriteMessage(writer, provider, message, names);
            }
        }

        writer.WriteEndArray();
    }

    private static void WriteInstructions(Utf8JsonWriter writer, string? text)
    {
        if (text is { Length: > 0 })
        {
            writer.WriteStartObject();
            writer.WriteString("role"u8, "system"u8);
            writer.WriteString("content"u8, text);
            writer.WriteEndObject();
        }
    }

    private static void WriteMessage(
        Utf8JsonWriter writer, string provider, ChatMessage message, Dictionary<string, string> names)
    {
        writer.WriteStartObject();
        writer.WriteString("role"u8, PromptWriter.IsSystem(message) ? "system" : message.Role.Value);
        writer.WritePropertyName("content"u8);
        PromptWriter.WriteText(writer, message.Contents);
        var images = message.Contents.Where(static content => content is DataContent or UriContent).ToList();
        if (images.Count > 0)
        {
            writer.WriteStartArray("images"u8);
            foreach (var image in images)
            {
                writer.WriteBase64StringValue(PromptWriter.ImageBytes(image, provider).Data.Span);
            }

            writer.WriteEndArray();
        }

        WriteCalls(writer, message, names);
        writer.WriteEndObject();
    }

    private static void WriteCalls(Utf8JsonWriter writer, ChatMessage message, Dictionary<string, string> names)
    {
        var calls = message.Contents.OfType<FunctionCallContent>().ToList();
        if (calls.Count == 0)
        {
            return;
        }

        writer.WriteStartArray("tool_calls"u8);
        foreach (var call in calls)
        {
            names[call.CallId] = call.Name;
            writer.WriteStartObject();
            writer.WriteStartObject("function"u8);
            writer.WriteString("name"u8, call.Name);
            writer.WritePropertyName("arguments"u8);
            JsonValues.WriteArguments(writer, call);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    /// <summary>
    /// The protocol cannot make a model call a tool, so it is told to in words; what it does is up to it.
    /// </summary>
    private static string? Demand(ChatOptions? options) => options switch
    {
        { Tools.Count: > 0, ToolMode: RequiredChatToolMode { RequiredFunctionName: { } name } } =>
            $"Do not answer with text: call the tool {name}.",
        { Tools.Count: > 0, ToolMode: RequiredChatToolMode } => "Do not answer with text: call one of the tools.",
        _ => null,
    };

    private static void WriteTools(Utf8JsonWriter writer, ChatOptions? options)
    {
        if (options?.Tools is not { Count: > 0 } tools || options.ToolMode is NoneChatToolMode)
        {
            return;
        }

        var only = (options.ToolMode as RequiredChatToolMode)?.RequiredFunctionName;
        writer.WriteStartArray("tools"u8);
        foreach (var function in tools.Select(PromptWriter.Function))
        {
            if (only is null || function.Name == only)
            {
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
        }

        writer.WriteEndArray();
    }

    private static void WriteFormat(Utf8JsonWriter writer, ChatResponseFormat? format)
    {
        switch (format)
        {
            case ChatResponseFormatJson { Schema: { } schema }:
                writer.WritePropertyName("format"u8);
                schema.WriteTo(writer);
                break;
            case ChatResponseFormatJson:
                writer.WriteString("format"u8, "json"u8);
                break;
            default:
                break;
        }
    }

    private static void WriteOptions(Utf8JsonWriter writer, Model model, ChatOptions? options)
    {
        writer.WriteStartObject("options"u8);

        // Left out, the server takes a few thousand and silently cuts what does not fit off the prompt's beginning.
        writer.WriteNumber("num_ctx"u8, model.ContextTokens);
        if (options is not null)
        {
            PromptWriter.WriteNumber(writer, "num_predict", options.MaxOutputTokens);
            PromptWriter.WriteNumber(writer, "temperature", options.Temperature);
            PromptWriter.WriteNumber(writer, "top_p", options.TopP);
            PromptWriter.WriteNumber(writer, "top_k", options.TopK);
            PromptWriter.WriteNumber(writer, "seed", options.Seed);
            PromptWriter.WriteNumber(writer, "frequency_penalty", options.FrequencyPenalty);
            PromptWriter.WriteNumber(writer, "presence_penalty", options.PresencePenalty);
            PromptWriter.WriteStops(writer, "stop", options);
        }

        writer.WriteEndObject();
    }
}
