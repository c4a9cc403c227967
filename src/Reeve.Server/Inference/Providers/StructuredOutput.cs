using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers;

/// <summary>
/// How an answer is kept to a JSON Schema, which the Messages API has no plain parameter for. A tool that the model
/// must call, whose parameters are the schema, is the strongest way; its input then is the answer's text. It takes the
/// place of the agent's own tools, so beside them, or for a schema that is no object, the model is told in words.
/// </summary>
internal enum StructuredOutput
{
    None,
    Tool,
    Words,
}

internal static class StructuredOutputs
{
    internal const string ToolName = "reeve_output";

    internal static StructuredOutput For(ChatOptions? options) => options?.ResponseFormat switch
    {
        ChatResponseFormatJson { Schema: { ValueKind: JsonValueKind.Object } schema }
            when options.Tools is not { Count: > 0 }
            && schema.TryGetProperty("type", out var type) && type.ValueEquals("object") => StructuredOutput.Tool,
        ChatResponseFormatJson => StructuredOutput.Words,
        _ => StructuredOutput.None,
    };

    /// <summary>
    /// For a protocol with a parameter for the schema that excludes tools: beside them it is told in words.
    /// </summary>
    internal static bool AreSaidInWords(ChatOptions? options) =>
        options is { ResponseFormat: ChatResponseFormatJson, Tools.Count: > 0 };

    internal static string Words(ChatResponseFormatJson format)
    {
        const string Rule = "Your answer is one JSON value and nothing else: no sentence around it and no code fence.";
        return format.Schema is { } schema ? $"{Rule} It fits this JSON Schema: {schema.GetRawText()}" : Rule;
    }
}
