using System.Text;
using System.Text.Encodings.Web;

namespace Reeve.Server.Privacy;

/// <summary>
/// Takes placeholders back in text that comes in pieces: what may be the beginning of one is held until it is one or is
/// none.
/// </summary>
internal sealed class Restorer(IReadOnlyDictionary<string, string> originals, bool escapesJson)
{
    /// <summary>The longest placeholder: a kind of 32 letters, a number of ten digits, and its marks.</summary>
    private const int LengthMax = 45;

    private readonly StringBuilder _held = new();

    /// <summary>What can be said for sure after this piece.</summary>
    internal string Push(string piece)
    {
        if (_held.Length == 0 && !piece.Contains('[', StringComparison.Ordinal))
        {
            return piece;
        }

        var text = _held.Append(piece).ToString();
        _held.Clear();
        var ready = new StringBuilder(text.Length);
        var at = 0;
        while (at < text.Length)
        {
            var start = text.IndexOf('[', at);
            if (start < 0)
            {
                ready.Append(text, at, text.Length - at);
                break;
            }

            ready.Append(text, at, start - at);
            var rest = text.AsSpan(start);
            if (LengthAt(rest) is { } length)
            {
                var placeholder = text.Substring(start, length);
                ready.Append(originals.TryGetValue(placeholder, out var original) ? Show(original) : placeholder);
                at = start + length;
            }
            else if (MayBecome(rest))
            {
                _held.Append(rest);
                break;
            }
            else
            {
                ready.Append('[');
                at = start + 1;
            }
        }

        return ready.ToString();
    }

    /// <summary>What was held when nothing more comes.</summary>
    internal string Flush()
    {
        var rest = _held.ToString();
        _held.Clear();
        return rest;
    }

    /// <summary>The length of the placeholder that the text begins with; null for none.</summary>
    internal static int? LengthAt(ReadOnlySpan<char> text)
    {
        var at = Body(text);
        return at < text.Length && at <= LengthMax && text[at] == ']' && char.IsAsciiDigit(text[at - 1])
            ? at + 1
            : null;
    }

    private static bool MayBecome(ReadOnlySpan<char> text) => text.Length < LengthMax && Body(text) == text.Length;

    /// <summary>How far the text goes on like a placeholder: capitals, then an underscore, then a number.</summary>
    private static int Body(ReadOnlySpan<char> text)
    {
        var at = 1;
        while (at < text.Length && char.IsAsciiLetterUpper(text[at]))
        {
            at++;
        }

        if (at == text.Length || at == 1 || text[at] != '_')
        {
            return at == text.Length ? at : 0;
        }

        at++;
        while (at < text.Length && char.IsAsciiDigit(text[at]))
        {
            at++;
        }

        return at;
    }

    private string Show(string original) =>
        escapesJson ? JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(original) : original;
}
