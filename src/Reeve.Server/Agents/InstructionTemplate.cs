using System.Buffers;
using System.Text;
using System.Text.Json;
using Reeve.Server.Http;

namespace Reeve.Server.Agents;

/// <summary>What the caller of a run gives to the instructions.</summary>
internal readonly record struct TemplateValues(
    string? UserId, string? UserName, JsonElement? UserMetadata, JsonElement? Metadata);

/// <summary>
/// Fills <c>{{user.id}}</c>, <c>{{user.name}}</c> and <c>{{metadata.key}}</c> in one pass: what was put in is never
/// looked at again, other braces stay as they are.
/// </summary>
internal static class InstructionTemplate
{
    /// <summary>A short template can name a long value thousands of times.</summary>
    internal const int RenderedMax = 256 * 1024;

    private const string Open = "{{";
    private const string Close = "}}";
    private const string MetadataPrefix = "metadata.";

    /// <summary>No metadata key is longer, so the search for the closing braces can stop there.</summary>
    private const int NameMax = 9 + (2 * 64);

    internal static string Render(string template, TemplateValues values)
    {
        var next = template.IndexOf(Open, StringComparison.Ordinal);
        if (next < 0)
        {
            return template;
        }

        var result = new StringBuilder(template.Length + 64);
        var position = 0;
        while (next >= 0)
        {
            var name = next + Open.Length;
            var window = Math.Min(NameMax + Close.Length, template.Length - name);
            var end = template.IndexOf(Close, name, window, StringComparison.Ordinal);
            if (end >= 0 && Value(template[name..end], values) is { } value)
            {
                result.Append(template, position, next - position).Append(value);
                if (result.Length > RenderedMax)
                {
                    throw ApiException.Invalid(
                        $"The instructions are longer than {RenderedMax} characters once they are filled in.",
                        "metadata");
                }

                position = end + Close.Length;
                next = template.IndexOf(Open, position, StringComparison.Ordinal);
            }
            else
            {
                next = template.IndexOf(Open, next + 1, StringComparison.Ordinal);
            }
        }

        return result.Append(template, position, template.Length - position).ToString();
    }

    /// <summary>Null when the name is none of those that are replaced.</summary>
    private static string? Value(string name, TemplateValues values) => name switch
    {
        "user.id" => values.UserId ?? "",
        "user.name" => values.UserName ?? "",
        _ when name.Length > MetadataPrefix.Length && name.StartsWith(MetadataPrefix, StringComparison.Ordinal)
            && !name.AsSpan().ContainsAny('{', '}') => Member(name[MetadataPrefix.Length..], values),
        _ => null,
    };

    private static string Member(string key, TemplateValues values) =>
        values.Metadata is { } metadata && metadata.TryGetProperty(key, out var value)
        || values.UserMetadata is { } userMetadata && userMetadata.TryGetProperty(key, out value)
            ? Print(value)
            : "";

    private static string Print(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String)
        {
            return value.GetString()!;
        }

        var buffer = new ArrayBufferWriter<byte>(64);
        using (var writer = new Utf8JsonWriter(buffer, ApiJson.Writer))
        {
            value.WriteTo(writer);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
