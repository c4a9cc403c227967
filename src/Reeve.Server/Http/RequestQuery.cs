using System.Globalization;
using System.Text.RegularExpressions;

namespace Reeve.Server.Http;

/// <summary>The query string, strictly: a name that is unknown here or given twice is refused (400).</summary>
internal sealed partial class RequestQuery
{
    private readonly IQueryCollection _query;

    internal RequestQuery(HttpContext context, params ReadOnlySpan<string> names)
    {
        _query = context.Request.Query;
        foreach (var (name, values) in _query)
        {
            if (!Contains(names, name))
            {
                throw ApiException.Invalid($"{Shown(name)} is not a known query parameter here.", Shown(name));
            }

            if (values.Count > 1)
            {
                throw ApiException.Invalid($"{name} is given twice in the query.", name);
            }
        }
    }

    /// <summary>The value, null when the name is missing; an empty one is refused unless allowed.</summary>
    internal string? Text(string name, int lengthMax = 256)
    {
        if (!_query.TryGetValue(name, out var values))
        {
            return null;
        }

        var text = values.ToString();
        return text.Length is 0 || text.Length > lengthMax || text.Contains('\0', StringComparison.Ordinal)
            ? throw ApiException.Invalid($"{name} must have 1 to {lengthMax} characters.", name)
            : text;
    }

    internal long? Integer(string name, long min, long max)
    {
        if (!_query.TryGetValue(name, out var values))
        {
            return null;
        }

        return long.TryParse(values.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number >= min && number <= max
            ? number
            : throw ApiException.Invalid($"{name} must be an integer from {min} to {max}.", name);
    }

    internal string? Word(string name, params ReadOnlySpan<string> words)
    {
        if (!_query.TryGetValue(name, out var values))
        {
            return null;
        }

        var text = values.ToString();
        return Contains(words, text)
            ? text
            : throw ApiException.Invalid($"{name} must be one of {string.Join(", ", words!)}.", name);
    }

    internal DateTimeOffset? Time(string name)
    {
        if (!_query.TryGetValue(name, out var values))
        {
            return null;
        }

        return Iso().IsMatch(values.ToString())
            && DateTimeOffset.TryParse(values.ToString(), CultureInfo.InvariantCulture,
                DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            && time.Year is >= 1971 and <= 9000
            ? time
            : throw ApiException.Invalid($"{name} must be a date or a time as in 2026-11-20T09:15:03Z.", name);
    }

    [GeneratedRegex(@"^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d:\d\d(\.\d{1,7})?([Zz]|[+-]\d\d:\d\d))?\z")]
    private static partial Regex Iso();

    // An unknown name comes back in the answer: short, and without anything that is no printable ASCII.
    private static string Shown(string name) =>
        string.Concat(name.Where(character => character is > ' ' and <= '~').Take(64));

    private static bool Contains(ReadOnlySpan<string> words, string word)
    {
        foreach (var candidate in words)
        {
            if (string.Equals(candidate, word, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}
