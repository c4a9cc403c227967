using System.Globalization;
using System.Text.RegularExpressions;

namespace Reeve.Server.Tests.Spec;

/// <summary>
/// Puts placeholders for what differs from server to server and from run to run. The 26 characters of an id get one
/// placeholder wherever they stand, also under another prefix: <c>run_&lt;1&gt;</c>, <c>conv_&lt;2&gt;</c>,
/// <c>task_&lt;2&gt;</c>; those that the setup saved have its name, as in <c>agt_&lt;agent&gt;</c>.
/// </summary>
internal sealed partial class Placeholders
{
    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);
    private int _count;

    /// <summary>Names a value: of an id its 26 characters, of anything else the whole.</summary>
    internal void Save(string name, string value)
    {
        var bound = AnId().Match(value) is { Success: true } id ? id.Groups[2].Value : value;
        _values[name] = bound;
        _names[bound] = name;
    }

    /// <summary>A request with the saved values in place of their names.</summary>
    internal string Fill(string text) => Name().Replace(text, match =>
        _values.TryGetValue(match.Groups[1].Value, out var value)
            ? match.Groups[2].Success ? TraceAnswer.Lower(value) : value
            : throw new InvalidOperationException($"Nothing was saved as {match.Value}."));

    internal string Hide(string text)
    {
        text = Key().Replace(text, match => $"{match.Groups[1].Value}_<secret>");
        text = AnId().Replace(text, match => $"{match.Groups[1].Value}_<{NameOf(match.Groups[2].Value)}>");
        text = Time().Replace(text, "<time>");
        text = Seconds().Replace(text, "<seconds>");
        text = Milliseconds().Replace(text, match => $"\"{match.Groups[1].Value}\":\"<milliseconds>\"");
        return Volatile().Replace(text, match => $"\"{match.Groups[1].Value}\":\"<{match.Groups[1].Value}>\"");
    }

    /// <summary>The value of a header.</summary>
    internal string Hide(string header, string value) => header.ToLowerInvariant() switch
    {
        "x-ratelimit-remaining" or "x-ratelimit-reset" or "retry-after" => "<integer>",
        "ratelimit" => Left().Replace(value, match => $"{match.Groups[1].Value}=<integer>"),
        _ => Hide(value),
    };

    private string NameOf(string body)
    {
        if (!_names.TryGetValue(body, out var name))
        {
            _names[body] = name = (++_count).ToString(CultureInfo.InvariantCulture);
        }

        return name;
    }

    [GeneratedRegex(@"\b(agt|agent|msg|conv|task|doc|chk|rcpt|acct|run|key|mem|evt|req)_([0-9A-HJKMNP-TV-Z]{26})\b")]
    private static partial Regex AnId();

    [GeneratedRegex(@"\b(mesh_live|mesh_test|afk_live|afk_widget)_[0-9A-Za-z]{38}\b")]
    private static partial Regex Key();

    [GeneratedRegex(@"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)")]
    private static partial Regex Time();

    [GeneratedRegex(@"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")]
    private static partial Regex Seconds();

    [GeneratedRegex(@"""(duration_ms|latency_ms)"":\d+")]
    private static partial Regex Milliseconds();

    // key_id of a receipt, not that of an API key, which is an id.
    [GeneratedRegex(@"""(log_head|signature|last_four)"":""[^""<]+""|""(?<1>key_id)"":""[0-9a-f]{16}""")]
    private static partial Regex Volatile();

    [GeneratedRegex(@"\b([rt])=\d+")]
    private static partial Regex Left();

    [GeneratedRegex("<([a-z][a-z0-9-]*)(:lower)?>")]
    private static partial Regex Name();
}
