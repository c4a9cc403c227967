using System.Globalization;
using System.Text;

namespace Reeve.Server.Privacy;

/// <summary>
/// A text as it is searched for personal data: digits of all scripts are ASCII digits, the marks that numbers and
/// addresses are written with are their plain forms, accents are gone, and so is what nobody sees (a zero-width space,
/// a soft hyphen). What is found has its place in the original. ASCII stays as it is.
/// </summary>
internal readonly struct FoldedText
{
    private const char LatinFirst = '\u00C0';
    private const char Removed = '\0';

    /// <summary>The letters from U+00C0 to U+017F without their accents; those that have none stay.</summary>
    private const string Latin =
        "AAAAAAÆCEEEEIIIIÐNOOOOO×ØUUUUYÞßaaaaaaæceeeeiiiiðnooooo÷øuuuuyþyAaAaAaCcCcCcCcDdĐđEeEeEeEeEeGgGg"
        + "GgGgHhĦħIiIiIiIiIıĲĳJjKkĸLlLlLlĿŀŁłNnNnNnŉŊŋOoOoOoŒœRrRrRrSsSsSsSsTtTtŦŧUuUuUuUuUuUuWwYyYZzZzZzſ";

    private readonly int[]? _places;

    private FoldedText(ReadOnlyMemory<char> text, int[]? places) => (Text, _places) = (text, places);

    internal ReadOnlyMemory<char> Text { get; }

    internal static FoldedText Of(string original)
    {
        if (Ascii.IsValid(original))
        {
            return new FoldedText(original.AsMemory(), null);
        }

        var text = new char[original.Length];
        var places = new int[original.Length + 1];
        var count = 0;
        for (var at = 0; at < original.Length; at++)
        {
            var folded = original[at] < '\u00A0' ? original[at]
                : char.IsSurrogate(original[at]) ? FoldPair(original, at) : Fold(original[at]);
            if (folded != Removed)
            {
                (text[count], places[count++]) = (folded, at);
            }
        }

        places[count] = original.Length;
        return new FoldedText(text.AsMemory(0, count), places);
    }

    /// <summary>The same, found at a place of <see cref="Text"/>, at its place in the original.</summary>
    internal PersonalDatum InOriginal(PersonalDatum found) => _places is null ? found
        : found with { Start = _places[found.Start], Length = _places[found.End] - _places[found.Start] };

    /// <summary>True where people write a number or a name next to a word without a space, as in Chinese.</summary>
    internal static bool IsUnspaced(char letter) => letter is (>= '\u0E00' and <= '\u0EFF')
        or (>= '\u1000' and <= '\u11FF') or (>= '\u1780' and <= '\u17FF') or (>= '\u2E80' and <= '\uA97F')
        or (>= '\uAC00' and <= '\uD7FF') or (>= '\uF900' and <= '\uFAFF') or (>= '\uFF66' and <= '\uFFDC');

    /// <summary>True for what makes a longer word or number of something beside it.</summary>
    internal static bool IsWord(char character) => char.IsAscii(character)
        ? char.IsAsciiLetterOrDigit(character)
        : char.IsLetterOrDigit(character) && !IsUnspaced(character);

    private static char Fold(char character)
    {
        switch (character)
        {
            case >= LatinFirst and <= '\u017F':
                return Latin[character - LatinFirst];
            case >= '\uFF01' and <= '\uFF5E': // Full width.
                return (char)(character - 0xFEE0);
            case '\u2212':
                return '-';
            case '\uFE6B':
                return '@';
            default:
                return CharUnicodeInfo.GetUnicodeCategory(character) switch
                {
                    UnicodeCategory.DecimalDigitNumber =>
                        (char)('0' + CharUnicodeInfo.GetDecimalDigitValue(character)),
                    UnicodeCategory.SpaceSeparator => ' ',
                    UnicodeCategory.DashPunctuation => '-',
                    UnicodeCategory.Format or UnicodeCategory.NonSpacingMark => Removed,
                    _ => character,
                };
        }
    }

    /// <summary>Of two characters that are one, the second is gone where the first stands for both.</summary>
    private static char FoldPair(string original, int at)
    {
        var first = char.IsLowSurrogate(original[at]) && at > 0 && char.IsHighSurrogate(original[at - 1]) ? at - 1 : at;
        if (!char.IsHighSurrogate(original[first]) || first + 1 == original.Length
            || !char.IsLowSurrogate(original[first + 1]))
        {
            return original[at];
        }

        return CharUnicodeInfo.GetUnicodeCategory(original, first) switch
        {
            UnicodeCategory.DecimalDigitNumber => first == at
                ? (char)('0' + CharUnicodeInfo.GetDecimalDigitValue(original, first)) : Removed,
            UnicodeCategory.Format or UnicodeCategory.NonSpacingMark => Removed,
            _ => original[at],
        };
    }
}
