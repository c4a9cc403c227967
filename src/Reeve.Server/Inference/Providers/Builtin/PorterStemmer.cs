namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>
/// The suffix stripping of M. F. Porter (1980) for English words in lower-case ASCII, as FTS5 has it.
/// </summary>
internal static class PorterStemmer
{
    /// <summary>Characters that a buffer needs beyond the word: stripping can put one <c>e</c> back.</summary>
    internal const int Room = 1;

    private static readonly (string Suffix, string Replacement)[] Step2 =
    [
        ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("abli", "able"),
        ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"),
        ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"),
        ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"),
    ];

    private static readonly (string Suffix, string Replacement)[] Step3 =
    [
        ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
    ];

    private static readonly string[] Step4 =
    [
        "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate",
        "iti", "ous", "ive", "ize",
    ];

    /// <summary>
    /// Stems the first <paramref name="length"/> characters in place; answers the length of the stem.
    /// </summary>
    internal static int Stem(Span<char> word, int length)
    {
        if (length <= 2)
        {
            return length;
        }

        length = Plural(word, length);
        length = PastAndProgressive(word, length);
        if (Ends(word, length, "y") && HasVowel(word, length - 1))
        {
            word[length - 1] = 'i';
        }

        length = Replace(word, length, Step2);
        length = Replace(word, length, Step3);
        length = Residual(word, length);
        return FinalE(word, length);
    }

    private static int Plural(Span<char> word, int length)
    {
        if (Ends(word, length, "sses") || Ends(word, length, "ies"))
        {
            return length - 2;
        }

        return Ends(word, length, "s") && !Ends(word, length, "ss") ? length - 1 : length;
    }

    private static int PastAndProgressive(Span<char> word, int length)
    {
        if (Ends(word, length, "eed"))
        {
            return Measure(word, length - 3) > 0 ? length - 1 : length;
        }

        var stem = Ends(word, length, "ed") ? length - 2 : Ends(word, length, "ing") ? length - 3 : length;
        if (stem == length || !HasVowel(word, stem))
        {
            return length;
        }

        if (Ends(word, stem, "at") || Ends(word, stem, "bl") || Ends(word, stem, "iz"))
        {
            word[stem] = 'e';
            return stem + 1;
        }

        if (IsDoubleConsonant(word, stem) && word[stem - 1] is not ('l' or 's' or 'z'))
        {
            return stem - 1;
        }

        if (Measure(word, stem) == 1 && EndsShort(word, stem))
        {
            word[stem] = 'e';
            return stem + 1;
        }

        return stem;
    }

    private static int Replace(Span<char> word, int length, (string Suffix, string Replacement)[] rules)
    {
        foreach (var (suffix, replacement) in rules)
        {
            if (Ends(word, length, suffix))
            {
                var stem = length - suffix.Length;
                if (Measure(word, stem) == 0)
                {
                    return length;
                }

                replacement.CopyTo(word[stem..]);
                return stem + replacement.Length;
            }
        }

        return length;
    }

    private static int Residual(Span<char> word, int length)
    {
        foreach (var suffix in Step4)
        {
            if (Ends(word, length, suffix))
            {
                var stem = length - suffix.Length;
                var applies = Measure(word, stem) > 1 && (suffix != "ion" || word[stem - 1] is 's' or 't');
                return applies ? stem : length;
            }
        }

        return length;
    }

    private static int FinalE(Span<char> word, int length)
    {
        if (Ends(word, length, "e"))
        {
            var measure = Measure(word, length - 1);
            if (measure > 1 || (measure == 1 && !EndsShort(word, length - 1)))
            {
                length--;
            }
        }

        return Ends(word, length, "ll") && Measure(word, length) > 1 ? length - 1 : length;
    }

    private static bool Ends(ReadOnlySpan<char> word, int length, string suffix) =>
        word[..length].EndsWith(suffix, StringComparison.Ordinal);

    private static bool IsConsonant(ReadOnlySpan<char> word, int index) => word[index] switch
    {
        'a' or 'e' or 'i' or 'o' or 'u' => false,
        'y' => index == 0 || !IsConsonant(word, index - 1),
        _ => true,
    };

    /// <summary>The number of vowel-consonant sequences.</summary>
    private static int Measure(ReadOnlySpan<char> word, int length)
    {
        var count = 0;
        var afterVowel = false;
        for (var i = 0; i < length; i++)
        {
            var consonant = IsConsonant(word, i);
            count += consonant && afterVowel ? 1 : 0;
            afterVowel = !consonant;
        }

        return count;
    }

    private static bool HasVowel(ReadOnlySpan<char> word, int length)
    {
        for (var i = 0; i < length; i++)
        {
            if (!IsConsonant(word, i))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsDoubleConsonant(ReadOnlySpan<char> word, int length) =>
        length >= 2 && word[length - 1] == word[length - 2] && IsConsonant(word, length - 1);

    /// <summary>
    /// Consonant, vowel, consonant other than w, x, y: a short syllable, which wants its <c>e</c> back.
    /// </summary>
    private static bool EndsShort(ReadOnlySpan<char> word, int length) =>
        length >= 3 && IsConsonant(word, length - 1) && !IsConsonant(word, length - 2) && IsConsonant(word, length - 3)
        && word[length - 1] is not ('w' or 'x' or 'y');
}
