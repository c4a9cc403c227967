using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers.Anthropic;

/// <summary>Writes the body of <c>POST /v1/messages</c>.</summary>
internal static class AnthropicRequestWriter
{
    internal static PooledBytes Write(
        Model model, IEnumerable<ChatMessage> messages, ChatOptions? options, bool streamed)
    {
        var body = new PooledBytes(8 * 1024);
        try
        {
            using var writer = new Utf8JsonWriter(body, PromptWriter.Format);
            writer.WriteStartObject();
            writer.WriteString("model"u8, model.Upstream);
            writer.WriteNumber("max_tokens"u8, options?.MaxOutputTokens ?? model.OutputTokensMax);
            WriteSystem(writer, messages, options);
            WriteMessages(writer, messages);
            if (streamed)
            {
                writer.WriteBoolean("stream"u8, true);
            }

            if (options is not null)
            {
                WriteSampling(writer, options);
                if (StructuredOutputs.For(options) == StructuredOutput.Tool)
                {
                    WriteOutputTool(writer, (ChatResponseFormatJson)options.ResponseFormat!);
                }
                else
                {
                    WriteTools(writer, options);
                }
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

    /// <summary>System messages stand apart in this protocol, as one text.</summary>
    private static void WriteSystem(Utf8JsonWriter writer, IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        var begun = false;
        Add(options?.Instructions);
        foreach (var message in messages)
        {
            if (PromptWriter.IsSystem(message))
            {
                foreach (var content in message.Contents)
                {
                    Add(PromptWriter.TextOf(content));
                }
            }
        }

        if (StructuredOutputs.For(options) == StructuredOutput.Words)
        {
            Add(StructuredOutputs.Words((ChatResponseFormatJson)options!.ResponseFormat!));
        }

        if (begun)
        {
            writer.WriteStringValueSegment("", isFinalSegment: true);
        }

        void Add(string? text)
        {
            if (string.IsNullOrWhiteSpace(text))
            {
                return;
            }

            if (begun)
            {
                writer.WriteStringValueSegment("\n\n", isFinalSegment: false);
            }
            else
            {
                writer.WritePropertyName("system"u8);
                begun = true;
            }

            writer.WriteStringValueSegment(text, isFinalSegment: false);
        }
    }

    /// <summary>
    /// Turns alternate here: neighbours of one role become one message. That also brings all results of a step's calls
    /// together in the one message that must follow the calls.
    /// </summary>
    private static void WriteMessages(Utf8JsonWriter writer, IEnumerable<ChatMessage> messages)
    {
        writer.WriteStartArray("messages"u8);
        bool? openForAssistant = null;
        foreach (var message in messages)
        {
            if (PromptWriter.IsSystem(message))
            {
                continue;
            }

            var isAssistant = message.Role == ChatRole.Assistant;
            foreach (var content in message.Contents)
            {
                if (!IsSent(content))
                {
                    continue;
                }

                if (openForAssistant != isAssistant)
                {
                    Close();
                    openForAssistant = isAssistant;
                    writer.WriteStartObject();
                    writer.WriteString("role"u8, isAssistant ? "assistant"u8 : "user"u8);
                    writer.WriteStartArray("content"u8);
                }

                WriteBlock(writer, content);
            }
        }

        Close();
        writer.WriteEndArray();

        void Close()
        {
            if (openForAssistant is not null)
            {
                writer.WriteEndArray();
                writer.WriteEndObject();
            }
        }
    }

    private static bool IsSent(AIContent content) => content switch
    {
        // The API refuses a block of text in which there is nothing to read.
        TextContent text => !string.IsNullOrWhiteSpace(text.Text),
        SourceContent or FunctionCallContent or FunctionResultContent or DataContent or UriContent => true,
        _ => false,
    };

    private static void WriteBlock(Utf8JsonWriter writer, AIContent content)
    {
        writer.WriteStartObject();
        switch (content)
        {
            case FunctionCallContent call:
                writer.WriteString("type"u8, "tool_use"u8);
                writer.WriteString("id"u8, CallId(call.CallId));
                writer.WriteString("name"u8, call.Name);
                writer.WritePropertyName("input"u8);
                JsonValues.WriteArguments(writer, call);
                break;
            case FunctionResultContent result:
                writer.WriteString("type"u8, "tool_result"u8);
                writer.WriteString("tool_use_id"u8, CallId(result.CallId));
                writer.WriteString("content"u8, JsonValues.Text(result.Result));
                if (result.Exception is not null)
                {
                    writer.WriteBoolean("is_error"u8, true);
                }

                break;
            case DataContent or UriContent:
                WriteImage(writer, content);
                break;
            default:
                writer.WriteString("type"u8, "text"u8);
                writer.WriteString("text"u8, PromptWriter.TextOf(content));
                break;
        }

        writer.WriteEndObject();
    }

    private static void WriteImage(Utf8JsonWriter writer, AIContent content)
    {
        writer.WriteString("type"u8, "image"u8);
        writer.WriteStartObject("source"u8);
        var image = PromptWriter.Image(content);
        if (image.Data is { } data)
        {
            writer.WriteString("type"u8, "base64"u8);
            writer.WriteString("media_type"u8, data.MediaType);
            writer.WriteBase64String("data"u8, data.Data.Span);
        }
        else
        {
            writer.WriteString("type"u8, "url"u8);
            writer.WriteString("url"u8, image.Address!.AbsoluteUri);
        }

        writer.WriteEndObject();
    }

    /// <summary>
    /// A run may go on here after another provider made the call: ids have letters, digits, _ and - only.
    /// </summary>
    private static string CallId(string id)
    {
        foreach (var character in id)
        {
            if (!char.IsAsciiLetterOrDigit(character) && character is not ('_' or '-'))
            {
                return string.Create(id.Length, id, static (span, text) =>
                {
                    for (var i = 0; i < span.Length; i++)
                    {
                        span[i] = char.IsAsciiLetterOrDigit(text[i]) ? text[i] : '_';
                    }
                });
            }
        }

        return id;
    }

    private static void WriteSampling(Utf8JsonWriter writer, ChatOptions options)
    {
        // The scale ends at 1 here and at 2 elsewhere. Newer models take one of the two, not both.
        if (options.Temperature is { } temperature)
        {
            writer.WriteNumber("temperature"u8, Math.Min(temperature, 1));
        }
        else if (options.TopP is { } topP)
        {
            writer.WriteNumber("top_p"u8, topP);
        }

        PromptWriter.WriteNumber(writer, "top_k", options.TopK);
        PromptWriter.WriteStops(writer, "stop_sequences", options);
    }

    private static void WriteOutputTool(Utf8JsonWriter writer, ChatResponseFormatJson format)
    {
        writer.WriteStartArray("tools"u8);
        writer.WriteStartObject();
        writer.WriteString("name"u8, StructuredOutputs.ToolName);
        writer.WriteString("description"u8, format.SchemaDescription ?? "Gives the answer.");
        writer.WritePropertyName("input_schema"u8);
        format.Schema!.Value.WriteTo(writer);
        writer.WriteEndObject();
        writer.WriteEndArray();
        writer.WriteStartObject("tool_choice"u8);
        writer.WriteString("type"u8, "tool"u8);
        writer.WriteString("name"u8, StructuredOutputs.ToolName);
        writer.WriteBoolean("disable_parallel_tool_use"u8, true);
        writer.WriteEndObject();
    }

    private static void WriteTools(Utf8JsonWriter writer, ChatOptions options)
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
            writer.WriteString("name"u8, function.Name);
            writer.WriteString("description"u8, function.Description);
            writer.WritePropertyName("input_schema"u8);
            function.JsonSchema.WriteTo(writer);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        var choice = options.ToolMode switch
        {
            NoneChatToolMode => "none",
            RequiredChatToolMode { RequiredFunctionName: not null } => "tool",
            RequiredChatToolMode => "any",
            _ => "auto",
        };
        writer.WriteStartObject("tool_choice"u8);
        writer.WriteString("type"u8, choice);
        if (options.ToolMode is RequiredChatToolMode { RequiredFunctionName: { } name })
        {
            writer.WriteString("name"u8, name);
        }

        if (options.AllowMultipleToolCalls == false && choice != "none")
        {
            writer.WriteBoolean("disable_parallel_tool_use"u8, true);
        }

        writer.WriteEndObject();
    }
}
