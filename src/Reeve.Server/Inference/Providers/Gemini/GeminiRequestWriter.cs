using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers.Gemini;

/// <summary>Writes the body of <c>POST /models/X:generateContent</c>; streamed or not, it is the same.</summary>
internal static class GeminiRequestWriter
{
    /// <summary>
    /// Models from Gemini 3 on refuse a call in the history without the signature that came with it. The log does not
    /// keep signatures, and a call may be another provider's; for such histories Google names this word.
    /// </summary>
    private const string NoSignature = "skip_thought_signature_validator";

    internal static PooledBytes Write(Model model, IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        var body = new PooledBytes(8 * 1024);
        try
        {
            using var writer = new Utf8JsonWriter(body, PromptWriter.Format);
            var history = messages as IReadOnlyList<ChatMessage> ?? [.. messages];
            writer.WriteStartObject();
            WriteSystem(writer, history, options);
            WriteContents(writer, history, model);
            WriteConfig(writer, options);
            WriteTools(writer, options);
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

    private static void WriteSystem(
        Utf8JsonWriter writer, IReadOnlyList<ChatMessage> messages, ChatOptions? options)
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

        if (StructuredOutputs.AreSaidInWords(options))
        {
            Add(StructuredOutputs.Words((ChatResponseFormatJson)options!.ResponseFormat!));
        }

        if (begun)
        {
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        void Add(string? text)
        {
            if (string.IsNullOrWhiteSpace(text))
            {
                return;
            }

            if (!begun)
            {
                begun = true;
                writer.WriteStartObject("systemInstruction"u8);
                writer.WriteStartArray("parts"u8);
            }

            writer.WriteStartObject();
            writer.WriteString("text"u8, text);
            writer.WriteEndObject();
        }
    }

    /// <summary>
    /// Neighbours of one role become one: the results of a step's calls must stand together, after the calls.
    /// </summary>
    private static void WriteContents(Utf8JsonWriter writer, IReadOnlyList<ChatMessage> messages, Model model)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        var signature = model.Upstream.StartsWith("gemini-3", StringComparison.Ordinal) ? NoSignature : null;
        bool? openForModel = null;
        writer.WriteStartArray("contents"u8);
        foreach (var message in messages)
        {
            if (PromptWriter.IsSystem(message))
            {
                continue;
            }

            var isModel = message.Role == ChatRole.Assistant;
            var sign = signature;
            foreach (var content in message.Contents)
            {
                if (!IsSent(content))
                {
                    continue;
                }

                if (openForModel != isModel)
                {
                    Close();
                    openForModel = isModel;
                    writer.WriteStartObject();
                    writer.WriteString("role"u8, isModel ? "model"u8 : "user"u8);
                    writer.WriteStartArray("parts"u8);
                }

                WritePart(writer, content, names, ref sign);
            }
        }

        Close();
        writer.WriteEndArray();

        void Close()
        {
            if (openForModel is not null)
            {
                writer.WriteEndArray();
                writer.WriteEndObject();
            }
        }
    }

    private static bool IsSent(AIContent content) => content switch
    {
        TextContent text => text.Text.Length > 0,
        SourceContent or FunctionCallContent or FunctionResultContent or DataContent or UriContent => true,
        _ => false,
    };

    private static void WritePart(
        Utf8JsonWriter writer, AIContent content, Dictionary<string, string> names, ref string? sign)
    {
        writer.WriteStartObject();
        switch (content)
        {
            case FunctionCallContent call:
                names[call.CallId] = call.Name;
                writer.WriteStartObject("functionCall"u8);
                writer.WriteString("name"u8, call.Name);
                writer.WritePropertyName("args"u8);
                JsonValues.WriteArguments(writer, call);
                writer.WriteEndObject();
                if (sign is not null)
                {
                    // Of calls made at once the first alone is signed.
                    writer.WriteString("thoughtSignature"u8, sign);
                    sign = null;
                }

                break;
            case FunctionResultContent result:
                WriteResult(writer, result, names.GetValueOrDefault(result.CallId, result.CallId));
                break;
            case DataContent or UriContent:
                WriteImage(writer, PromptWriter.Image(content));
                break;
            default:
                writer.WriteString("text"u8, PromptWriter.TextOf(content));
                break;
        }

        writer.WriteEndObject();
    }

    /// <summary>Results go by the name of their function and by their order; each is an object.</summary>
    private static void WriteResult(Utf8JsonWriter writer, FunctionResultContent result, string name)
    {
        writer.WriteStartObject("functionResponse"u8);
        writer.WriteString("name"u8, name);
        writer.WritePropertyName("response"u8);
        if (result.Result is JsonElement { ValueKind: JsonValueKind.Object } json)
        {
            json.WriteTo(writer);
        }
        else
        {
            writer.WriteStartObject();
            writer.WriteString(result.Exception is null ? "result"u8 : "error"u8, JsonValues.Text(result.Result));
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    private static void WriteImage(Utf8JsonWriter writer, PromptImage image)
    {
        if (image.Data is { } data)
        {
            writer.WriteStartObject("inlineData"u8);
            writer.WriteString("mimeType"u8, data.MediaType);
            writer.WriteBase64String("data"u8, data.Data.Span);
        }
        else
        {
            writer.WriteStartObject("fileData"u8);
            if (!image.MediaType.EndsWith('*'))
            {
                writer.WriteString("mimeType"u8, image.MediaType);
            }

            writer.WriteString("fileUri"u8, image.Address!.AbsoluteUri);
        }

        writer.WriteEndObject();
    }

    private static void WriteConfig(Utf8JsonWriter writer, ChatOptions? options)
    {
        if (options is null)
        {
            return;
        }

        writer.WriteStartObject("generationConfig"u8);
        PromptWriter.WriteNumber(writer, "maxOutputTokens", options.MaxOutputTokens);
        PromptWriter.WriteNumber(writer, "temperature", options.Temperature);
        PromptWriter.WriteNumber(writer, "topP", options.TopP);
        PromptWriter.WriteNumber(writer, "topK", options.TopK);
        PromptWriter.WriteNumber(writer, "seed", options.Seed);
        PromptWriter.WriteNumber(writer, "frequencyPenalty", options.FrequencyPenalty);
        PromptWriter.WriteNumber(writer, "presencePenalty", options.PresencePenalty);
        PromptWriter.WriteStops(writer, "stopSequences", options);
        if (options.ResponseFormat is ChatResponseFormatJson json && !StructuredOutputs.AreSaidInWords(options))
        {
            writer.WriteString("responseMimeType"u8, "application/json"u8);
            if (json.Schema is { } schema)
            {
                writer.WritePropertyName("responseJsonSchema"u8);
                schema.WriteTo(writer);
            }
        }

        writer.WriteEndObject();
    }

    private static void WriteTools(Utf8JsonWriter writer, ChatOptions? options)
    {
        if (options?.Tools is not { Count: > 0 } tools)
        {
            return;
        }

        writer.WriteStartArray("tools"u8);
        writer.WriteStartObject();
        writer.WriteStartArray("functionDeclarations"u8);
        foreach (var tool in tools)
        {
            var function = PromptWriter.Function(tool);
            writer.WriteStartObject();
            writer.WriteString("name"u8, function.Name);
            writer.WriteString("description"u8, function.Description);

            // All of JSON Schema; "parameters" takes a subset of an older one.
            writer.WritePropertyName("parametersJsonSchema"u8);
            function.JsonSchema.WriteTo(writer);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteEndArray();
        WriteChoice(writer, options.ToolMode);
    }

    private static void WriteChoice(Utf8JsonWriter writer, ChatToolMode? choice)
    {
        var mode = choice switch { NoneChatToolMode => "NONE", RequiredChatToolMode => "ANY", _ => "AUTO" };
        writer.WriteStartObject("toolConfig"u8);
        writer.WriteStartObject("functionCallingConfig"u8);
        writer.WriteString("mode"u8, mode);
        if (choice is RequiredChatToolMode { RequiredFunctionName: { } name })
        {
            writer.WriteStartArray("allowedFunctionNames"u8);
            writer.WriteStringValue(name);
            writer.WriteEndArray();
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}
