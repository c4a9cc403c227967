using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Reeve.Server.Http;

namespace Reeve.Server.Tools;

/// <summary>
/// One check of one value. Inside <c>anyOf</c>, <c>oneOf</c>, <c>not</c> and <c>if</c> nobody asks why, so nothing is
/// collected there. Running out of steps ends the check as an error, never as a pass.
/// </summary>
internal sealed class JsonSchemaCheck(int errorsMax)
{
    private const int StepsMax = 500_000;
    private const int DepthMax = 400;

    private readonly List<JsonSchemaError> _errors = [];
    private int _steps;
    private bool _isExhausted;

    internal IReadOnlyList<JsonSchemaError> Run(JsonSchemaNode root, JsonElement value)
    {
        var fits = Fits(root, new Place(value, null, "", 0, IsQuiet: false));
        if (_isExhausted)
        {
            return [new JsonSchemaError("", "cannot be checked within the bounds of work and depth")];
        }

        return fits ? [] : _errors;
    }

    private bool Fits(JsonSchemaNode node, Place place)
    {
        if (++_steps > StepsMax || place.Depth > DepthMax)
        {
            _isExhausted = true;
        }

        if (_isExhausted)
        {
            return false;
        }

        if (node.Constant is { } constant)
        {
            return constant || Fail(place, "is not allowed here");
        }

        // A wrong type makes every other complaint about this value noise.
        if (node.Types != JsonTypes.None && (node.Types & TypeOf(place.Value, node.Types)) == 0)
        {
            return Fail(place, $"must be {TypeWords(node.Types)}");
        }

        // Quiet checks stop at the first failure; the others go on to find what else is wrong.
        var fits = FitsEnumeration(node, place);
        if (fits || !place.IsQuiet)
        {
            fits &= FitsShape(node, place);
        }

        if (fits || !place.IsQuiet)
        {
            fits &= FitsCombinations(node, place);
        }

        return fits;
    }

    private bool FitsEnumeration(JsonSchemaNode node, Place place)
    {
        if (node.Enumeration is null)
        {
            return true;
        }

        _steps += node.Enumeration.Count * (1 + Size(place.Value));
        return node.Enumeration.Any(allowed => JsonValueComparer.Instance.Equals(allowed, place.Value))
            || Fail(place, node.Enumeration.Count == 1 ? $"must be {Show(node.Enumeration[0])}"
                : $"must be one of {string.Join(", ", node.Enumeration.Take(10).Select(Show))}");
    }

    private bool FitsShape(JsonSchemaNode node, Place place) => place.Value.ValueKind switch
    {
        JsonValueKind.Object => FitsObject(node, place),
        JsonValueKind.Array => FitsArray(node, place),
        JsonValueKind.String => FitsString(node, place),
        JsonValueKind.Number => FitsNumber(node, place),
        _ => true,
    };

    private bool FitsCombinations(JsonSchemaNode node, Place place)
    {
        var deeper = place with { Depth = place.Depth + 1 };
        var quiet = deeper with { IsQuiet = true };
        var fits = node.Reference is null || Fits(node.Reference, deeper);
        foreach (var part in node.AllOf)
        {
            fits &= Fits(part, deeper);
        }

        if (node.AnyOf.Count > 0 && !node.AnyOf.Any(part => Fits(part, quiet)))
        {
            fits = Fail(place, "must fit at least one of the alternatives (anyOf)");
        }

        if (node.OneOf.Count > 0
            && node.OneOf.Where(part => Fits(part, quiet)).Take(2).Count() is var matches && matches != 1)
        {
            fits = Fail(place, matches == 0
                ? "must fit one of the alternatives (oneOf)" : "must fit exactly one of the alternatives (oneOf)");
        }

        if (node.Not is not null && Fits(node.Not, quiet))
        {
            fits = Fail(place, "must not fit the schema of not");
        }

        var branch = node.If is null ? null : Fits(node.If, quiet) ? node.Then : node.Else;
        return fits & (branch is null || Fits(branch, deeper));
    }

    private bool FitsObject(JsonSchemaNode node, Place place)
    {
        var fits = true;
        var count = 0;
        foreach (var member in place.Value.EnumerateObject())
        {
            count++;
            fits &= FitsMember(node, member, place);
            if (!fits && place.IsQuiet)
            {
                return false;
            }
        }

        fits &= Within(node.MinProperties, node.MaxProperties, count, "members", place);
        foreach (var name in node.Required.Where(name => !Has(place, name)))
        {
            fits = Fail(place, $"must have the member {name}");
        }

        foreach (var (name, needed) in node.DependentRequired.Where(pair => Has(place, pair.Key)))
        {
            foreach (var missing in needed.Where(other => !Has(place, other)))
            {
                fits = Fail(place, $"must have the member {missing}, since it has {name}");
            }
        }

        foreach (var (name, schema) in node.DependentSchemas)
        {
            fits &= !Has(place, name) || Fits(schema, place with { Depth = place.Depth + 1 });
        }

        return fits;
    }

    private static bool Has(Place place, string member) => place.Value.TryGetProperty(member, out _);

    private bool FitsMember(JsonSchemaNode node, JsonProperty member, Place place)
    {
        var inside = new Place(member.Value, place, member.Name, place.Depth + 1, place.IsQuiet);
        var fits = true;
        var isKnown = node.Properties.TryGetValue(member.Name, out var schema);
        if (isKnown)
        {
            fits = Fits(schema!, inside);
        }

        foreach (var (pattern, patternSchema) in node.PatternProperties)
        {
            if (Matches(pattern, member.Name))
            {
                isKnown = true;
                fits &= Fits(patternSchema, inside);
            }
        }

        if (!isKnown && node.AdditionalProperties is { } additional)
        {
            fits &= additional.Constant == false ? Fail(inside, "is not a member that is allowed here")
                : Fits(additional, inside);
        }

        if (node.PropertyNames is { } names)
        {
            var name = JsonElement.Parse($"\"{JsonEncodedText.Encode(member.Name)}\"");
            fits &= Fits(names, new Place(name, null, "", place.Depth + 1, IsQuiet: true))
                || Fail(inside, "has a name that is not allowed here");
        }

        return fits;
    }

    private bool FitsArray(JsonSchemaNode node, Place place)
    {
        var count = place.Value.GetArrayLength();
        var fits = Within(node.MinItems, node.MaxItems, count, "items", place);
        var index = 0;
        var contained = 0;
        foreach (var item in place.Value.EnumerateArray())
        {
            var name = index.ToString(CultureInfo.InvariantCulture);
            var inside = new Place(item, place, name, place.Depth + 1, place.IsQuiet);
            var schema = index < node.PrefixItems.Count ? node.PrefixItems[index] : node.Items;
            fits &= schema is null || Fits(schema, inside);
            contained += node.Contains is not null && Fits(node.Contains, inside with { IsQuiet = true }) ? 1 : 0;
            index++;
            if (!fits && place.IsQuiet)
            {
                return false;
            }
        }

        if (node.Contains is not null)
        {
            fits &= Within(node.MinContains ?? 1, node.MaxContains, contained, "items that fit contains", place);
        }

        if (node.UniqueItems)
        {
            _steps += Size(place.Value);
            fits &= new HashSet<JsonElement>(place.Value.EnumerateArray(), JsonValueComparer.Instance).Count == count
                || Fail(place, "must not have the same item twice");
        }

        return fits;
    }

    private bool FitsString(JsonSchemaNode node, Place place)
    {
        if (node.MinLength is null && node.MaxLength is null && node.Pattern is null)
        {
            return true;
        }

        var text = place.Value.GetString()!;
        return Within(node.MinLength, node.MaxLength, RequestObject.ScalarCount(text), "characters", place)
            & (node.Pattern is null || Matches(node.Pattern, text)
                || Fail(place, $"must match the pattern {node.Pattern.Text}"));
    }

    private bool FitsNumber(JsonSchemaNode node, Place place)
    {
        var value = place.Value;
        return (node.Minimum is not { } min || JsonNumber.Compare(value, min) >= 0
                || Fail(place, $"must be at least {min}"))
            & (node.Maximum is not { } max || JsonNumber.Compare(value, max) <= 0
                || Fail(place, $"must be at most {max}"))
            & (node.ExclusiveMinimum is not { } above || JsonNumber.Compare(value, above) > 0
                || Fail(place, $"must be more than {above}"))
            & (node.ExclusiveMaximum is not { } below || JsonNumber.Compare(value, below) < 0
                || Fail(place, $"must be less than {below}"))
            & (node.MultipleOf is not { } of || JsonNumber.IsMultiple(value, of)
                || Fail(place, $"must be a multiple of {of}"));
    }

    private bool Within(long? min, long? max, long count, string what, Place place) =>
        (!(count < min) || Fail(place, $"must have at least {min} {what}, not {count}"))
        & (!(count > max) || Fail(place, $"must have at most {max} {what}, not {count}"));

    private bool Matches(JsonSchemaPattern pattern, string text)
    {
        _steps += text.Length / 64;
        if (pattern.IsMatch(text) is { } isMatch)
        {
            return isMatch;
        }

        _isExhausted = true;
        return false;
    }

    private bool Fail(Place place, string message)
    {
        if (!place.IsQuiet && _errors.Count < errorsMax)
        {
            _errors.Add(new JsonSchemaError(place.Pointer(), message));
        }

        return false;
    }

    private static JsonTypes TypeOf(JsonElement value, JsonTypes wanted) => value.ValueKind switch
    {
        JsonValueKind.Object => JsonTypes.Object,
        JsonValueKind.Array => JsonTypes.Array,
        JsonValueKind.String => JsonTypes.String,
        JsonValueKind.True or JsonValueKind.False => JsonTypes.Boolean,
        JsonValueKind.Number when wanted.HasFlag(JsonTypes.Integer) && JsonNumber.IsInteger(value) =>
            JsonTypes.Number | JsonTypes.Integer,
        JsonValueKind.Number => JsonTypes.Number,
        _ => JsonTypes.Null,
    };

    private static string TypeWords(JsonTypes types) => string.Join(" or ", Enum.GetValues<JsonTypes>()
        .Where(type => type != JsonTypes.None && types.HasFlag(type))
        .Select(type => type.ToString().ToLowerInvariant()));

    private static int Size(JsonElement value) => JsonMarshal.GetRawUtf8Value(value).Length / 64;

    private static string Show(JsonElement value) =>
        value.GetRawText() is { Length: > 60 } text ? text[..60] + "…" : value.GetRawText();

    private sealed record Place(JsonElement Value, Place? Parent, string Name, int Depth, bool IsQuiet)
    {
        internal string Pointer()
        {
            var pointer = "";
            for (var place = this; place.Parent is not null; place = place.Parent)
            {
                pointer = $"/{JsonPointer.Escape(place.Name)}{pointer}";
            }

            return pointer;
        }
    }
}
