using System.Globalization;
using System.Text;

namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>
/// Cuts text into search terms: runs of letters and digits in lower case, without diacritics, English words stemmed;
/// scripts written without spaces give pairs of neighbours. Remembers the words it has seen, so one reader serves one
/// document or query and is then dropped.
/// </summary>
internal sealed class TermReader
{
    /// <summary>Longer runs are no words; what lies beyond is left out of the term.</summary>
    private const int TermCharactersMax = 64;

    private static readonly string Unaccented = MakeUnaccented();

    private readonly Dictionary<string, string> _stems = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> _stemsBySpan;
    private readonly char[] _word = new char[TermCharactersMax + PorterStemmer.Room];
    private int _length;
    private bool _plain = true;

    internal TermReader() => _stemsBySpan = _stems.GetAlternateLookup<ReadOnlySpan<char>>();

    internal static List<string> TermsOf(ReadOnlySpan<char> text)
    {
        var terms = new List<string>();
        new TermReader().Read(text, terms);
        return terms;
    }

    /// <summary>Adds the terms of the text in their order.</summary>
    internal void Read(ReadOnlySpan<char> text, List<string> terms)
    {
        var previousWide = "";
        var pairs = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            if (IsWide(rune))
            {
                Finish(terms);
                var wide = rune.ToString();
                if (previousWide.Length > 0)
                {
                    terms.Add(previousWide + wide);
                    pairs++;
                }

                previousWide = wide;
                continue;
            }

            if (previousWide.Length > 0)
            {
                AddLoneWide(previousWide, pairs, terms);
                (previousWide, pairs) = ("", 0);
            }

            Take(rune, terms);
        }

        AddLoneWide(previousWide, pairs, terms);
        Finish(terms);
    }

    private static void AddLoneWide(string wide, int pairs, List<string> terms)
    {
        if (wide.Length > 0 && pairs == 0)
        {
            terms.Add(wide);
        }
    }

    private void Take(Rune rune, List<string> terms)
    {
        if (rune.IsAscii)
        {
            var character = (char)rune.Value;
            if (char.IsAsciiLetterOrDigit(character))
            {
                Append(char.ToLowerInvariant(character));
                _plain &= !char.IsAsciiDigit(character);
            }
            else
            {
                Finish(terms);
            }

            return;
        }

        if (Rune.IsLetterOrDigit(rune))
        {
            AppendFolded(Rune.ToLowerInvariant(rune));
        }
        else if (Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.NonSpacingMark or UnicodeCategory.Format))
        {
            Finish(terms);
        }
    }

    private void AppendFolded(Rune rune)
    {
        if (rune.Value is >= 0xC0 and < 0x180)
        {
            Append(Unaccented[rune.Value - 0xC0]);
            return;
        }

        _plain = false;
        Span<char> units = stackalloc char[2];
        var count = rune.EncodeToUtf16(units);
        if (_length + count <= TermCharactersMax)
        {
            Append(units[0]);
            if (count == 2)
            {
                Append(units[1]);
            }
        }
    }

    private void Append(char character)
    {
        if (_length < TermCharactersMax)
        {
            _word[_length++] = character;
        }
    }

    private void Finish(List<string> terms)
    {
        if (_length == 0)
        {
            _plain = true;
            return;
        }

        var word = _word.AsSpan(0, _length);
        if (!_stemsBySpan.TryGetValue(word, out var stem))
        {
            var key = word.ToString();
            var length = _plain ? PorterStemmer.Stem(_word, _length) : _length;
            stem = _word.AsSpan(0, length).SequenceEqual(key) ? key : new string(_word, 0, length);
            _stems.Add(key, stem);
        }

        terms.Add(stem);
        _length = 0;
        _plain = true;
    }

    /// <summary>Han, kana, Thai, Lao, Khmer and Burmese have no spaces between words.</summary>
    private static bool IsWide(Rune rune) => rune.Value >= 0x0E00 && rune.Value is (>= 0x0E00 and <= 0x0EFF)
        or (>= 0x1000 and <= 0x109F) or (>= 0x1780 and <= 0x17FF) or (>= 0x3040 and <= 0x30FF)
        or (>= 0x3400 and <= 0x4DBF) or (>= 0x4E00 and <= 0x9FFF) or (>= 0xF900 and <= 0xFAFF)
        or (>= 0x20000 and <= 0x3134F) && (Rune.IsLetterOrDigit(rune) || IsMark(rune));

    private static bool IsMark(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;

    // Base letters of U+00C0 to U+017F: the process runs without culture data, where normalisation does nothing.
    private static string MakeUnaccented()
    {
        const string Latin1 = "aaaaaaaceeeeiiiidnooooo\u00d7ouuuuyts";
        var text = new StringBuilder(Latin1).Append(Latin1).Replace('\u00d7', '\u00f7', 32, 32);
        text[63] = 'y';
        ReadOnlySpan<(char Letter, int Count)> extendedA =
        [
            ('a', 6), ('c', 8), ('d', 4), ('e', 10), ('g', 8), ('h', 4), ('i', 12), ('j', 2), ('k', 3), ('l', 10),
            ('n', 9), ('o', 8), ('r', 6), ('s', 8), ('t', 6), ('u', 12), ('w', 2), ('y', 3), ('z', 6), ('s', 1),
        ];
        foreach (var (letter, count) in extendedA)
        {
            text.Append(letter, count);
        }

        return text.ToString();
    }
}
