using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Reeve.Server.Inference.Providers;

/// <summary>Reads the strings of a provider's JSON.</summary>
internal static class JsonText
{
    /// <summary>Moves to the value and reads it; null for <c>null</c>.</summary>
    internal static string? Next(ref Utf8JsonReader reader)
    {
        reader.Read();
        return Current(ref reader);
    }

    internal static string? Current(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return null;
        }

        if (reader.TokenType != JsonTokenType.String)
        {
            throw new JsonException("A string was expected.");
        }

        if (!reader.ValueIsEscaped)
        {
            return reader.GetString();
        }

        try
        {
            return reader.GetString();
        }
        catch (InvalidOperationException)
        {
            return Unescape(reader.ValueSpan);
        }
    }

    /// <summary>The member, when the element is an object that has it and it is not <c>null</c>.</summary>
    internal static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value)
        && value.ValueKind != JsonValueKind.Null
            ? value
            : null;

    /// <summary>The member's text; null where it is missing.</summary>
    internal static string? Text(JsonElement element, string name)
    {
        if (Member(element, name) is not { } value)
        {
            return null;
        }

        var reader = new Utf8JsonReader(JsonMarshal.GetRawUtf8Value(value));
        return Next(ref reader);
    }

    /// <summary>The items of the member; none where it is missing.</summary>
    internal static JsonElement.ArrayEnumerator Items(JsonElement element, string name) =>
        Member(element, name) is { } value ? value.EnumerateArray() : default;

    /// <summary>
    /// Servers that cut text between UTF-16 units send half a character as an escape, and its other half in the next
    /// piece. The reader of the framework refuses that; here the half is kept and whoever joins the pieces has it
    /// whole.
    /// </summary>
    private static string Unescape(ReadOnlySpan<byte> escaped)
    {
        var text = new StringBuilder(escaped.Length);
        while (escaped.IndexOf((byte)'\\') is >= 0 and var at)
        {
            text.Append(Encoding.UTF8.GetString(escaped[..at]));
            var kind = (char)escaped[at + 1];
            if (kind == 'u')
            {
                text.Append((char)ushort.Parse(
                    escaped.Slice(at + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
                escaped = escaped[(at + 6)..];
                continue;
            }

            text.Append(kind switch { 'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\b', 'f' => '\f', _ => kind });
            escaped = escaped[(at + 2)..];
        }

        return text.Append(Encoding.UTF8.GetString(escaped)).ToString();
    }
}
