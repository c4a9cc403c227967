using System.Globalization;

namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>
/// Finds sentences. The ranges tile the text: white space after a sentence belongs to it. A blank line, a list item and
/// a row of a table end a sentence too; a single line break does not.
/// </summary>
internal static class Sentences
{
    /// <summary>Stops, quotes and brackets that may follow a stop; a longer run ends no sentence.</summary>
    private const int ClosersMax = 8;

    private static readonly HashSet<string> Abbreviations = new(StringComparer.OrdinalIgnoreCase)
    {
        "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "gen", "col", "lt", "sgt", "capt", "rev", "hon", "vs", "etc",
        "e.g", "i.e", "cf", "al", "approx", "nos", "fig", "figs", "eq", "vol", "pp", "eds", "inc", "ltd",
        "co", "corp", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "ca", "viz",
    };

    internal static List<Range> Split(ReadOnlySpan<char> text)
    {
        var ranges = new List<Range>();
        var start = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var end = text[i] == '\n' ? AfterBreak(text, start, i) : AfterStop(text, start, i);
            if (end > 0)
            {
                while (end < text.Length && char.IsWhiteSpace(text[end]))
                {
                    end++;
                }

                ranges.Add(start..end);
                start = end;
                i = end - 1;
            }
        }

        if (start < text.Length)
        {
            ranges.Add(start..text.Length);
        }

        return ranges;
    }

    /// <summary>
    /// The length of a list marker (<c>- </c>, <c>* </c>, <c>12. </c>) at the start of the line, or 0.
    /// </summary>
    internal static int MarkerLength(ReadOnlySpan<char> line)
    {
        if (line.Length > 2 && line[0] is '-' or '*' or '+' or '•' && line.Length > 1 && line[1] == ' ')
        {
            return 2;
        }

        var digits = 0;
        while (digits < line.Length && digits < 4 && char.IsAsciiDigit(line[digits]))
        {
            digits++;
        }

        return digits > 0 && digits + 1 < line.Length && line[digits] is '.' or ')' && line[digits + 1] == ' '
            ? digits + 2
            : 0;
    }

    private static int AfterBreak(ReadOnlySpan<char> text, int start, int index)
    {
        var next = index + 1;
        while (next < text.Length && text[next] is ' ' or '\t' or '\r')
        {
            next++;
        }

        if (next >= text.Length || text[next] == '\n')
        {
            return index + 1;
        }

        var line = text[start..index];
        line = line[(line.LastIndexOf('\n') + 1)..];
        return MarkerLength(text[next..]) > 0 || line.Contains(" | ", StringComparison.Ordinal) ? index + 1 : 0;
    }

    private static int AfterStop(ReadOnlySpan<char> text, int start, int index)
    {
        var character = text[index];
        if (character is '。' or '！' or '？')
        {
            return AfterClosers(text, index + 1);
        }

        if (character is not ('.' or '!' or '?' or '…'))
        {
            return 0;
        }

        var end = AfterClosers(text, index + 1);
        if (end >= text.Length || !char.IsWhiteSpace(text[end]))
        {
            return 0;
        }

        if (character == '.' && IsAbbreviation(text[start..index]))
        {
            return 0;
        }

        var next = end;
        while (next < text.Length && char.IsWhiteSpace(text[next]))
        {
            next++;
        }

        return next >= text.Length || StartsSentence(text[next]) ? end : 0;
    }

    private static int AfterClosers(ReadOnlySpan<char> text, int index)
    {
        var max = Math.Min(text.Length, index + ClosersMax);
        while (index < max && text[index] is '.' or '!' or '?' or '"' or '\'' or '”' or '’' or ')' or ']' or '»')
        {
            index++;
        }

        return index;
    }

    private static bool StartsSentence(char character) => !char.IsLower(character)
        && CharUnicodeInfo.GetUnicodeCategory(character) is not UnicodeCategory.MathSymbol;

    private static bool IsAbbreviation(ReadOnlySpan<char> before)
    {
        var wordStart = before.Length;
        while (wordStart > 0 && (char.IsLetter(before[wordStart - 1]) || before[wordStart - 1] == '.'))
        {
            wordStart--;
        }

        var word = before[wordStart..];
        if (word.Length == 0)
        {
            // The number of a list item, which is no sentence of its own.
            return before.Length is > 0 and <= 4 && before.TrimStart("0123456789").Length == 0;
        }

        var initial = word.Length == 1 && char.IsUpper(word[0]) && word[0] != 'I';
        var dotted = word.Length > 2 && word[1] == '.' && char.IsUpper(word[0]) && word[^2] == '.';
        return initial || dotted || Abbreviations.GetAlternateLookup<ReadOnlySpan<char>>().Contains(word);
    }
}
