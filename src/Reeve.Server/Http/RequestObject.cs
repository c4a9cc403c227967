using System.Text.Json;

namespace Reeve.Server.Http;

/// <summary>
/// A JSON object as the wire reads it: each member is taken by name with its type and limits, and what nobody took is
/// refused by <see cref="RejectUnknown"/>. Every error names the member's path. <c>null</c> counts as missing.
/// </summary>
internal sealed class RequestObject
{
    private readonly JsonElement _element;
    private readonly string _path;
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);
    private readonly List<RequestObject> _children = [];

    internal RequestObject(JsonElement element, string path = "")
    {
        _element = element;
        _path = path;
    }

    internal JsonElement Element => _element;

    internal string PathOf(string name) => _path.Length == 0 ? name : $"{_path}.{name}";

    /// <summary>True when the member stands in the body, null included (a PATCH resets by null).</summary>
    internal bool Has(string name) => _element.TryGetProperty(name, out _);

    internal ApiException Wrong(string name, string problem) =>
        ApiException.Invalid($"{PathOf(name)} {problem}.", PathOf(name));

    /// <summary>The raw member, or null when it is missing or null.</summary>
    internal JsonElement? Take(string name)
    {
        _taken.Add(name);
        return _element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    internal JsonElement Require(string name) => Take(name) ?? throw Wrong(name, "is required");

    /// <summary>A string of <paramref name="min"/> to <paramref name="max"/> Unicode scalar values.</summary>
    internal string? String(string name, int min, int max)
    {
        if (Take(name) is not { } value)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.String)
        {
            throw Wrong(name, "must be a string");
        }

        var text = value.GetString()!;
        var length = ScalarCount(text);
        return length < min || length > max
            ? throw Wrong(name, length == 0
                ? "must not be empty"
                : $"must have {min} to {max} characters, not {length}")
            : text;
    }

    internal string RequiredString(string name, int min, int max) =>
        String(name, min, max) ?? throw Wrong(name, "is required");

    /// <summary>One of a closed set of words.</summary>
    internal string? Word(string name, params ReadOnlySpan<string> words)
    {
        if (Take(name) is not { } value)
        {
            return null;
        }

        var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : null;
        return text is not null && words.Contains(text)
            ? text
            : throw Wrong(name, $"must be one of {string.Join(", ", words!)}");
    }

    internal bool? Boolean(string name) => Take(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw Wrong(name, "must be true or false"),
    };

    internal long? Integer(string name, long min, long max)
    {
        if (Take(name) is not { } value)
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out var number)
            && number == decimal.Truncate(number) && number >= min && number <= max
            ? (long)number
            : throw Wrong(name, $"must be an integer from {min} to {max}");
    }

    /// <summary>A number with at most <paramref name="decimals"/> digits after the point.</summary>
    internal decimal? Number(string name, decimal min, decimal max, int decimals)
    {
        if (Take(name) is not { } value)
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out var number)
            && number >= min && number <= max && decimal.Round(number, decimals) == number
            ? number
            : throw Wrong(name, $"must be a number from {min} to {max} with at most {decimals} decimals");
    }

    internal RequestObject? Object(string name)
    {
        if (Take(name) is not { } value)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            throw Wrong(name, "must be an object");
        }

        return Child(value, PathOf(name));
    }

    internal IReadOnlyList<RequestObject>? Objects(string name, int max) =>
        Items(name, max)?.Select((item, index) => item.ValueKind == JsonValueKind.Object
            ? Child(item, $"{PathOf(name)}[{index}]")
            : throw Wrong($"{name}[{index}]", "must be an object")).ToList();

    internal IReadOnlyList<string>? Strings(string name, int max, int lengthMax) =>
        Items(name, max)?.Select((item, index) =>
        {
            var text = item.ValueKind == JsonValueKind.String ? item.GetString()! : null;
            return text is { Length: > 0 } && ScalarCount(text) <= lengthMax
                ? text
                : throw Wrong($"{name}[{index}]", $"must be a string of 1 to {lengthMax} characters");
        }).ToList();

    internal IReadOnlyList<long>? Integers(string name, int max, long valueMin, long valueMax) =>
        Items(name, max)?.Select((item, index) =>
            item.ValueKind == JsonValueKind.Number && item.TryGetInt64(out var number)
                && number >= valueMin && number <= valueMax
                ? number
                : throw Wrong($"{name}[{index}]", $"must be an integer from {valueMin} to {valueMax}")).ToList();

    /// <summary>Free members: at most 64 keys of 1-64 characters, 16 KiB of JSON in all (wire-mesh 2.1).</summary>
    internal JsonElement? Metadata(string name)
    {
        if (Take(name) is not { } value)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            throw Wrong(name, "must be an object");
        }

        var count = 0;
        foreach (var member in value.EnumerateObject())
        {
            count++;
            if (ScalarCount(member.Name) is 0 or > 64)
            {
                throw Wrong(name, "must have keys of 1 to 64 characters");
            }
        }

        if (!IsFinite(value))
        {
            throw Wrong(name, "has a number that is larger than a double can hold");
        }

        if (count > 64)
        {
            throw Wrong(name, "must have at most 64 keys");
        }

        return System.Text.Encoding.UTF8.GetByteCount(value.GetRawText()) > 16 * 1024
            ? throw Wrong(name, "must be at most 16 KiB of JSON")
            : value.Clone();
    }

    /// <summary>Leaves every member of this object to somebody else's check.</summary>
    internal void TakeAll()
    {
        foreach (var member in _element.EnumerateObject())
        {
            _taken.Add(member.Name);
        }
    }

    /// <summary>Refuses what no call above has taken, in this object and in those taken from it.</summary>
    internal void RejectUnknown()
    {
        foreach (var member in _element.EnumerateObject())
        {
            if (!_taken.Contains(member.Name))
            {
                throw Wrong(member.Name, "is not a known field here" + Nearest(member.Name));
            }
        }

        foreach (var child in _children)
        {
            child.RejectUnknown();
        }
    }

    internal static int ScalarCount(string text)
    {
        var count = text.Length;
        foreach (var character in text)
        {
            if (char.IsLowSurrogate(character))
            {
                count--;
            }
        }

        return count;
    }

    /// <summary>False when a number in it is too large to be compared or computed with.</summary>
    internal static bool IsFinite(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number => value.TryGetDouble(out var number) && double.IsFinite(number),
        JsonValueKind.Array => value.EnumerateArray().All(IsFinite),
        JsonValueKind.Object => value.EnumerateObject().All(static member => IsFinite(member.Value)),
        _ => true,
    };

    private List<JsonElement>? Items(string name, int max)
    {
        if (Take(name) is not { } value)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Array)
        {
            throw Wrong(name, "must be an array");
        }

        return value.GetArrayLength() > max
            ? throw Wrong(name, $"must have at most {max} items")
            : [.. value.EnumerateArray()];
    }

    private RequestObject Child(JsonElement element, string path)
    {
        var child = new RequestObject(element, path);
        _children.Add(child);
        return child;
    }

    private string Nearest(string unknown)
    {
        var nearest = _taken.MinBy(name => EditDistance(unknown, name));
        return nearest is not null && EditDistance(unknown, nearest) <= 1 + (nearest.Length / 4)
            ? $" (did you mean {nearest}?)"
            : "";
    }

    private static int EditDistance(string left, string right)
    {
        if (left.Length > 64)
        {
            return int.MaxValue;
        }

        var row = Enumerable.Range(0, right.Length + 1).ToArray();
        for (var i = 1; i <= left.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var substitution = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substitution, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }
}
