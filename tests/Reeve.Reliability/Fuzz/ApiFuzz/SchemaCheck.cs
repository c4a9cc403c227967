using System.Text.Json;
using System.Text.RegularExpressions;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>
/// Checks values against the part of JSON Schema that the document uses; a keyword outside of it is an error here, so
/// that none is passed over. Answers are judged more strictly than JSON Schema does: an object that lists its members
/// has no others.
/// </summary>
internal sealed class SchemaCheck(ApiSpec spec)
{
    private static readonly HashSet<string> Known = new(StringComparer.Ordinal)
    {
        "$ref", "type", "enum", "const", "oneOf", "anyOf", "properties", "required", "additionalProperties",
        "propertyNames", "maxProperties", "items", "minItems", "maxItems", "minimum", "maximum", "minLength",
        "maxLength", "pattern", "description", "format", "contentMediaType", "default",
    };

    private readonly Dictionary<string, Regex> _patterns = new(StringComparer.Ordinal);

    /// <summary>What is wrong, each with its place; empty when the value fits.</summary>
    internal List<string> Errors(JsonElement schema, JsonElement value, bool isStrict = true)
    {
        var errors = new List<string>();
        Check(schema, value, "$", isStrict, errors);
        return errors;
    }

    internal static IReadOnlyList<string> Types(JsonElement schema) => !schema.TryGetProperty("type", out var type)
        ? []
        : type.ValueKind == JsonValueKind.String
            ? [type.GetString()!]
            : [.. type.EnumerateArray().Select(static one => one.GetString()!)];

    private void Check(JsonElement schema, JsonElement value, string path, bool isStrict, List<string> errors)
    {
        schema = spec.Resolve(schema);
        foreach (var keyword in schema.EnumerateObject())
        {
            if (!Known.Contains(keyword.Name))
            {
                throw new InvalidOperationException($"The check does not know the keyword {keyword.Name}.");
            }

            Check(keyword, value, path, isStrict, errors);
        }

        if (value.ValueKind == JsonValueKind.Object)
        {
            CheckMembers(schema, value, path, isStrict, errors);
        }
    }

    private void Check(JsonProperty keyword, JsonElement value, string path, bool isStrict, List<string> errors)
    {
        var argument = keyword.Value;
        var isRight = keyword.Name switch
        {
            "type" => Types(argument, value),
            "enum" => argument.EnumerateArray().Any(one => JsonElement.DeepEquals(one, value)),
            "const" => JsonElement.DeepEquals(argument, value),
            "oneOf" => argument.EnumerateArray().Count(one => Errors(one, value, isStrict).Count == 0) == 1,
            "anyOf" => argument.EnumerateArray().Any(one => Errors(one, value, isStrict).Count == 0),
            "minimum" => value.ValueKind != JsonValueKind.Number || Compare(value, argument) >= 0,
            "maximum" => value.ValueKind != JsonValueKind.Number || Compare(value, argument) <= 0,
            "minLength" => value.ValueKind != JsonValueKind.String || Length(value) >= argument.GetInt32(),
            "maxLength" => value.ValueKind != JsonValueKind.String || Length(value) <= argument.GetInt32(),
            "minItems" => value.ValueKind != JsonValueKind.Array || value.GetArrayLength() >= argument.GetInt32(),
            "maxItems" => value.ValueKind != JsonValueKind.Array || value.GetArrayLength() <= argument.GetInt32(),
            "maxProperties" => value.ValueKind != JsonValueKind.Object
                || value.EnumerateObject().Count() <= argument.GetInt32(),
            "pattern" => value.ValueKind != JsonValueKind.String || Pattern(argument).IsMatch(value.GetString()!),
            _ => true,
        };
        if (!isRight)
        {
            errors.Add($"{path} breaks {keyword.Name} {argument.GetRawText()}: {Short(value)}");
        }

        if (keyword.Name == "items" && value.ValueKind == JsonValueKind.Array)
        {
            foreach (var (index, item) in value.EnumerateArray().Index())
            {
                Check(argument, item, $"{path}[{index}]", isStrict, errors);
            }
        }
    }

    private void CheckMembers(JsonElement schema, JsonElement value, string path, bool isStrict, List<string> errors)
    {
        var hasMembers = schema.TryGetProperty("properties", out var properties);
        var isClosed = schema.TryGetProperty("additionalProperties", out var more)
            ? more.ValueKind == JsonValueKind.False
            : isStrict && hasMembers;
        foreach (var member in value.EnumerateObject())
        {
            if (hasMembers && properties.TryGetProperty(member.Name, out var described))
            {
                Check(described, member.Value, $"{path}.{member.Name}", isStrict, errors);
            }
            else if (isClosed)
            {
                errors.Add($"{path} has a member {member.Name} that is not described");
            }

            if (schema.TryGetProperty("propertyNames", out var names))
            {
                Check(names, JsonElement.Parse(
                    $"\"{JsonEncodedText.Encode(member.Name)}\""), $"{path} name", isStrict, errors);
            }
        }

        if (schema.TryGetProperty("required", out var required))
        {
            errors.AddRange(required.EnumerateArray().Select(static one => one.GetString()!)
                .Where(name => !value.TryGetProperty(name, out _)).Select(name => $"{path} lacks {name}"));
        }
    }

    private static bool Types(JsonElement argument, JsonElement value) => argument.ValueKind == JsonValueKind.Array
        ? argument.EnumerateArray().Any(one => IsOf(one.GetString()!, value))
        : IsOf(argument.GetString()!, value);

    private static bool IsOf(string type, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => type == "object",
        JsonValueKind.Array => type == "array",
        JsonValueKind.String => type == "string",
        JsonValueKind.Number => type == "number"
            || (type == "integer" && double.IsInteger(value.GetDouble())),
        JsonValueKind.True or JsonValueKind.False => type == "boolean",
        JsonValueKind.Null => type == "null",
        _ => false,
    };

    /// <summary>Exactly where both fit a decimal: as doubles, 2^53 and the next integer would be the same.</summary>
    private static int Compare(JsonElement left, JsonElement right) =>
        left.TryGetDecimal(out var first) && right.TryGetDecimal(out var second)
            ? first.CompareTo(second)
            : left.GetDouble().CompareTo(right.GetDouble());

    /// <summary>In Unicode scalar values.</summary>
    private static int Length(JsonElement value) => value.GetString()!.EnumerateRunes().Count();

    private Regex Pattern(JsonElement argument)
    {
        var text = argument.GetString()!;
        if (!_patterns.TryGetValue(text, out var pattern))
        {
            // "$" of .NET also matches before a last line feed; the one of JSON Schema does not.
            var exact = text.EndsWith('$') ? text[..^1] + "\\z" : text;
            _patterns[text] = pattern = new Regex(exact, RegexOptions.CultureInvariant | RegexOptions.ECMAScript);
        }

        return pattern;
    }

    private static string Short(JsonElement value)
    {
        var text = value.GetRawText();
        return text.Length <= 200 ? text : text[..200] + "…";
    }
}
