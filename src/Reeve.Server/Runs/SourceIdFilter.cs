using System.Text;
using System.Text.RegularExpressions;

namespace Reeve.Server.Runs;

/// <summary>
/// Leaves out of a model's text the ids of chunks that were never put before it, with the brackets around them. The
/// text comes in pieces: what may be the beginning of an id is held until it is one or is none.
/// </summary>
/// <param name="find">The id of a chunk that was put before the model, as it is written; null for any other.</param>
/// <param name="asked">What the caller wrote himself: an id that stands in it is a word like any other.</param>
internal sealed partial class SourceIdFilter(Func<string, string?> find, string asked)
{
    /// <summary>No more is held back, so that no text makes this slow: the end of a longer list of ids.</summary>
    private const int HeldMax = 1_024;

    private readonly Lazy<HashSet<string>> _asked = new(() => Ids(asked));
    private string _held = "";

    /// <summary>The last character that was given out: an id does not begin within a word.</summary>
    private string _before = "";
    private bool _skipsSpace;
    private bool _endsInSpace = true;

    /// <summary>What can be said for sure after this piece.</summary>
    internal string Push(string piece)
    {
        var text = _held + piece;
        var whole = _before + text;
        var tail = Tail().Match(whole, Math.Max(_before.Length, whole.Length - HeldMax));
        var end = tail.Success ? tail.Index - _before.Length : text.Length;
        _held = text[end..];
        return Filter(text[..end]);
    }

    /// <summary>What was held when nothing more comes.</summary>
    internal string Flush()
    {
        var rest = _held;
        _held = "";
        return Filter(rest);
    }

    private string Filter(string text)
    {
        var ready = new StringBuilder(text.Length);
        var at = _before.Length;
        var whole = _before + text;
        foreach (Match marker in Markers().Matches(whole, at))
        {
            Say(ready, whole.AsSpan(at, marker.Index - at));
            Show(ready, marker);
            at = marker.Index + marker.Length;
        }

        Say(ready, whole.AsSpan(at));
        _before = text.Length > 0 ? text[^1..] : _before;
        return ready.ToString();
    }

    private static HashSet<string> Ids(string text) => Markers().Matches(text)
        .SelectMany(static marker => marker.Groups["id"].Captures).Select(static id => id.Value)
        .ToHashSet(StringComparer.OrdinalIgnoreCase);

    private string? Find(string id) => find(id) ?? (_asked.Value.Contains(id) ? id : null);

    private void Show(StringBuilder ready, Match marker)
    {
        var (open, close) = (marker.Groups["open"].Value, marker.Groups["close"].Value);
        var ids = marker.Groups["id"].Captures.Select(id => Find(id.Value)).OfType<string>().ToList();
        if (ids.Count == marker.Groups["id"].Captures.Count)
        {
            Say(ready, marker.Value);
            return;
        }

        if (ids.Count > 0)
        {
            Say(ready, marker.Groups["space"].Value + open + string.Join(", ", ids) + close);
            return;
        }

        // Of a bracket that holds something else too, only the id goes.
        if ((open.Length > 0) != (close.Length > 0))
        {
            Say(ready, marker.Groups["space"].Value + open + close);
        }

        _skipsSpace = _endsInSpace;
    }

    private void Say(StringBuilder ready, ReadOnlySpan<char> text)
    {
        text = _skipsSpace ? text.TrimStart(' ') : text;
        if (text.Length > 0)
        {
            ready.Append(text);
            _skipsSpace = false;
            _endsInSpace = text[^1] == ' ';
        }
    }

    // An id has 26 letters and digits; a model that copies one badly may leave some out or put some in.
    [GeneratedRegex("""
        (?<space>[ ]{0,8})(?<open>[\[(【][ ]{0,8})?
        (?<![0-9A-Za-z_])(?<id>[cC][hH][kK]_[0-9A-Za-z]{16,64})(?![0-9A-Za-z_])
        (?:[ ,;]{1,8}(?<id>[cC][hH][kK]_[0-9A-Za-z]{16,64})(?![0-9A-Za-z_]))*
        (?<close>[ ]{0,8}[\])】])?
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Markers();

    /// <summary>The end of a text that may still become a marker, or grow as one.</summary>
    [GeneratedRegex("""
        [ ]{0,8}(?:[\[(【][ ]{0,8})?
        (?:(?<![0-9A-Za-z_])[cC][hH][kK]_[0-9A-Za-z]{16,64}(?:[ ,;]{1,8}|\z))*
        (?:(?<![0-9A-Za-z_])[cC](?:[hH](?:[kK](?:_[0-9A-Za-z]{0,64})?)?)?)?\z
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Tail();
}
