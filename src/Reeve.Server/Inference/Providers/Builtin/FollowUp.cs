namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>
/// Tells an input that can be understood only with the turns before it (<c>and in Europe?</c>, <c>why is that?</c>).
/// </summary>
internal static class FollowUp
{
    private const int WordsMax = 12;

    private static readonly string[] Openings =
        ["and ", "but ", "or ", "what about", "how about", "why?", "why not", "how so", "then ", "also ", "so "];

    private static readonly HashSet<string> References = new(StringComparer.Ordinal)
    {
        "it", "its", "they", "them", "their", "that", "this", "those", "these", "he", "she", "him", "his", "her", "one",
        "ones", "there", "former", "latter", "same",
    };

    private static readonly HashSet<string> Being = new(StringComparer.Ordinal) { "is", "are", "was", "were" };

    internal static bool Is(string input)
    {
        var words = Words(input);
        if (words.Count is 0 or > WordsMax)
        {
            return false;
        }

        var meaning = StopWords.Subject(input).Count(static term => term.Value >= 1);
        return meaning == 0
            || Array.Exists(Openings, opening =>
                input.AsSpan().TrimStart().StartsWith(opening, StringComparison.OrdinalIgnoreCase))
            || (meaning <= 3 && words.Index().Any(word => References.Contains(word.Item)

                // "Is there a garage?" points to nothing.
                && !(word.Item == "there" && word.Index > 0 && Being.Contains(words[word.Index - 1]))));
    }

    /// <summary>
    /// The earlier inputs that belong to the current one, newest first; none when it stands by itself.
    /// </summary>
    internal static List<string> Before(string input, IReadOnlyList<string> earlier)
    {
        var belonging = new List<string>();
        var current = input;
        for (var i = earlier.Count - 1; i >= 0 && belonging.Count < 3 && Is(current); i--)
        {
            current = earlier[i];
            belonging.Add(current);
        }

        return belonging;
    }

    private static List<string> Words(string input)
    {
        var words = new List<string>();
        foreach (var word in input.Split([' ', '\n', '\t', '?', '!', '.', ',', ';', ':', '\'', '’'],
            StringSplitOptions.RemoveEmptyEntries))
        {
            words.Add(word.ToLowerInvariant());
        }

        return words;
    }
}
