using System.Text.Json;

namespace Reeve.Server.Tools;

/// <content>References, and the values of keywords.</content>
internal sealed partial class JsonSchemaParser
{
    private JsonSchemaNode Resolve(string reference, string pointer)
    {
        if (!reference.StartsWith('#'))
        {
            throw Wrong(pointer, "must stay in this schema (#/…): other documents are not fetched");
        }

        var fragment = Uri.UnescapeDataString(reference[1..]);
        if (fragment.Length > 0 && fragment[0] != '/')
        {
            return _anchors.GetValueOrDefault(fragment) ?? throw Wrong(pointer, "names an anchor that does not exist");
        }

        var element = root;
        var target = "#";
        foreach (var token in fragment.Length == 0 ? [] : fragment[1..].Split('/'))
        {
            var name = token.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            var found = element.ValueKind switch
            {
                JsonValueKind.Object => element.TryGetProperty(name, out element),
                JsonValueKind.Array => Item(ref element, name),
                _ => false,
            };
            if (!found)
            {
                throw Wrong(pointer, "points to nothing in this schema");
            }

            target = Child(target, name);
        }

        // The depth starts anew: references are followed one after the other, not inside each other.
        return Read(element, target, 0);
    }

    private static bool Item(ref JsonElement element, string name)
    {
        if (!int.TryParse(name, System.Globalization.NumberStyles.None, null, out var index)
            || index >= element.GetArrayLength())
        {
            return false;
        }

        element = element[index];
        return true;
    }

    private IEnumerable<KeyValuePair<string, JsonSchemaNode>> ReadMap(JsonElement value, string pointer, int depth) =>
        Members(value, pointer).Select(member =>
            KeyValuePair.Create(member.Name, Read(member.Value, Child(pointer, member.Name), depth + 1)));

    private List<JsonSchemaNode> ReadList(JsonElement value, string pointer, int depth)
    {
        var items = Array(value, pointer);
        return items.Count == 0
            ? throw Wrong(pointer, "must not be empty")
            : [.. items.Select((item, index) => Read(item, $"{pointer}/{index}", depth + 1))];
    }

    private static JsonTypes ReadTypes(JsonElement value, string pointer)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            return ReadType(value, pointer);
        }

        var types = JsonTypes.None;
        foreach (var item in value.EnumerateArray())
        {
            types |= ReadType(item, pointer);
        }

        return types == JsonTypes.None ? throw Wrong(pointer, "must name a type") : types;
    }

    private static JsonTypes ReadType(JsonElement value, string pointer) =>
        (value.ValueKind == JsonValueKind.String ? value.GetString() : null) switch
        {
            "null" => JsonTypes.Null,
            "boolean" => JsonTypes.Boolean,
            "object" => JsonTypes.Object,
            "array" => JsonTypes.Array,
            "number" => JsonTypes.Number,
            "string" => JsonTypes.String,
            "integer" => JsonTypes.Integer,
            _ => throw Wrong(
                pointer, "must be null, boolean, object, array, number, string or integer, or a list of them"),
        };

    private static List<JsonElement> Array(JsonElement value, string pointer) => value.ValueKind == JsonValueKind.Array
        ? [.. value.EnumerateArray()]
        : throw Wrong(pointer, "must be an array");

    private static JsonElement.ObjectEnumerator Members(JsonElement value, string pointer) =>
        value.ValueKind == JsonValueKind.Object ? value.EnumerateObject() : throw Wrong(pointer, "must be an object");

    private static IReadOnlyList<string> Strings(JsonElement value, string pointer) =>
        [.. Array(value, pointer).Select(item => Text(item, pointer))];

    private static string Text(JsonElement value, string pointer) => value.ValueKind == JsonValueKind.String
        ? value.GetString()!
        : throw Wrong(pointer, "must be a string");

    private static JsonElement Number(JsonElement value, string pointer) => value.ValueKind == JsonValueKind.Number
        ? value
        : throw Wrong(pointer, "must be a number");

    private static long Count(JsonElement value, string pointer) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out var number)
        && number >= 0 && number <= int.MaxValue && number == decimal.Truncate(number)
            ? (long)number
            : throw Wrong(pointer, "must be an integer from 0 up");

    private static JsonSchemaPattern Pattern(string text, string pointer) =>
        JsonSchemaPattern.Parse(text, out var problem) ?? throw Wrong(pointer, problem);

    private static void Fill<T>(Dictionary<string, T> target, IEnumerable<KeyValuePair<string, T>> members)
    {
        foreach (var (name, value) in members)
        {
            target[name] = value;
        }
    }

    private static string Child(string pointer, string name) => $"{pointer}/{JsonPointer.Escape(name)}";

    private static JsonSchemaException Wrong(string pointer, string problem) =>
        new($"The schema is not usable: {Shorten(pointer)} {problem}.");

    // A pointer holds the author's own names; one that goes on for ever would not help.
    private static string Shorten(string pointer) => pointer.Length <= 200 ? pointer : pointer[..200] + "…";
}

/// <summary>The text form of a place in JSON (RFC 6901).</summary>
internal static class JsonPointer
{
    internal static string Escape(string name) =>
        name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);
}
