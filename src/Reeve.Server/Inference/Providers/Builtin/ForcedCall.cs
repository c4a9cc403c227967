using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>
/// The tool call that a request demands. Required parameters, and one called <c>query</c>, are filled: strings with the
/// question, everything else with the smallest value that its schema allows.
/// </summary>
internal static class ForcedCall
{
    /// <summary>Null when the request leaves tools to the model, or the call was made already.</summary>
    internal static FunctionCallContent? Of(QuoteRequest request, ChatOptions? options)
    {
        if (options?.ToolMode is not RequiredChatToolMode mode || request.HasCalled)
        {
            return null;
        }

        var tool = options.Tools?.OfType<AIFunctionDeclaration>()
            .FirstOrDefault(tool => mode.RequiredFunctionName is null || tool.Name == mode.RequiredFunctionName)
            ?? throw new ProviderException(
                ProviderFault.BadRequest, "A tool call is required, but the tool is not given.");
        var id = $"call_{(request.CallCount + 1).ToString(CultureInfo.InvariantCulture)}";
        return new FunctionCallContent(id, tool.Name, Arguments(tool.JsonSchema, request.Question));
    }

    private static Dictionary<string, object?> Arguments(JsonElement schema, string question)
    {
        var arguments = new Dictionary<string, object?>(StringComparer.Ordinal);
        if (schema.ValueKind != JsonValueKind.Object || !schema.TryGetProperty("properties", out var properties)
            || properties.ValueKind != JsonValueKind.Object)
        {
            return arguments;
        }

        var required = schema.TryGetProperty("required", out var names) && names.ValueKind == JsonValueKind.Array
            ? names.EnumerateArray().Where(static name => name.ValueKind == JsonValueKind.String)
                .Select(static name => name.GetString()!).ToHashSet(StringComparer.Ordinal)
            : [];
        foreach (var property in properties.EnumerateObject())
        {
            if (property.Name == "query" || required.Contains(property.Name))
            {
                arguments[property.Name] = Value(property.Value, question);
            }
        }

        return arguments;
    }

    private static object? Value(JsonElement schema, string question)
    {
        if (schema.ValueKind != JsonValueKind.Object)
        {
            return question;
        }

        foreach (var fixedValue in (ReadOnlySpan<string>)["const", "default"])
        {
            if (schema.TryGetProperty(fixedValue, out var value))
            {
                return value.Clone();
            }
        }

        if (schema.TryGetProperty("enum", out var words) && words.ValueKind == JsonValueKind.Array
            && words.GetArrayLength() > 0)
        {
            return words[0].Clone();
        }

        return TypeOf(schema) switch
        {
            "integer" => (long)Math.Ceiling(Minimum(schema)),
            "number" => Minimum(schema),
            "boolean" => false,
            "array" => JsonElement.Parse("[]"),
            "object" => JsonElement.Parse("{}"),
            "null" => null,
            _ => Shorten(question, schema),
        };
    }

    private static string? TypeOf(JsonElement schema)
    {
        if (!schema.TryGetProperty("type", out var type))
        {
            return null;
        }

        return type.ValueKind == JsonValueKind.Array && type.GetArrayLength() > 0
            ? type[0].ToString()
            : type.ToString();
    }

    private static double Minimum(JsonElement schema) =>
        schema.TryGetProperty("minimum", out var minimum) && minimum.TryGetDouble(out var value) ? value : 0;

    private static string Shorten(string question, JsonElement schema)
    {
        if (!schema.TryGetProperty("maxLength", out var limit) || !limit.TryGetInt32(out var max)
            || question.Length <= max)
        {
            return question;
        }

        return question[..(max > 0 && char.IsHighSurrogate(question[max - 1]) ? max - 1 : max)];
    }
}
