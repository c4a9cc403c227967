using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers;

/// <summary>Writes the values that tool calls and results carry, without reflection.</summary>
internal static class JsonValues
{
    /// <summary>The arguments of a call as it was made: as the model wrote them, where we have that.</summary>
    internal static void WriteArguments(Utf8JsonWriter writer, FunctionCallContent call)
    {
        if (call.RawRepresentation is JsonElement { ValueKind: JsonValueKind.Object } written)
        {
            written.WriteTo(writer);
            return;
        }

        writer.WriteStartObject();
        foreach (var (name, value) in call.Arguments ?? new Dictionary<string, object?>())
        {
            writer.WritePropertyName(name);
            Write(writer, value);
        }

        writer.WriteEndObject();
    }

    /// <summary>A result as the text that a model reads: a string as it is, anything else as JSON.</summary>
    internal static string Text(object? value) => value switch
    {
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } text => text.GetString()!,
        JsonElement json => json.GetRawText(),
        _ => Render(writer => Write(writer, value)),
    };

    internal static string ArgumentsText(FunctionCallContent call) =>
        call.RawRepresentation is JsonElement { ValueKind: JsonValueKind.Object } written
            ? written.GetRawText()
            : Render(writer => WriteArguments(writer, call));

    private static string Render(Action<Utf8JsonWriter> write)
    {
        using var bytes = new PooledBytes(256);
        using (var writer = new Utf8JsonWriter(bytes, PromptWriter.Format))
        {
            write(writer);
        }

        return System.Text.Encoding.UTF8.GetString(bytes.Span);
    }

    private static void Write(Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null:
                writer.WriteNullValue();
                break;
            case JsonElement json:
                json.WriteTo(writer);
                break;
            case string text:
                writer.WriteStringValue(text);
                break;
            case bool flag:
                writer.WriteBooleanValue(flag);
                break;
            case int number:
                writer.WriteNumberValue(number);
                break;
            case long number:
                writer.WriteNumberValue(number);
                break;
            case double number:
                writer.WriteNumberValue(number);
                break;
            case decimal number:
                writer.WriteNumberValue(number);
                break;
            default:
                throw new NotSupportedException($"A value of type {value.GetType().Name} cannot be sent to a model.");
        }
    }
}
