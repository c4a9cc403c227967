namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>English words that say nothing of a question's subject, as <see cref="TermReader"/> gives them.</summary>
internal static class StopWords
{
    private const string Words = """
        a about above after again all also am an and any are aren as at be because been before being below between
        both but by can cannot could couldn d did didn do does doesn doing don done down during each else ever few for
        from further get gets give given go got had hadn has hasn have haven having he her here hers herself him
        himself his how i if in into is isn it its itself just know let ll m make many may me might mine more most
        much must my myself no nor not now of off on once only or other our ours ourselves out over own per please re
        s same say says shall shan she should shouldn since so some such t tell than that the their theirs them
        themselves then there these they this those through to too under until up upon us ve very was wasn we were
        weren what when where whether which while who whom whose why will with without won would wouldn you your yours
        yourself yourselves
        """;

    // Words of asking, which an answer need not repeat: what costs 9 euros may stand there "for 9 euros".
    private const string LightWords = """
        answer ask called come consist contain cost describe description detail different exactly exist explain find
        happen help include involve kind like look mean meaning name need possible price refer say show sort thing type
        understand use used want way work
        """;

    private const string MeasureWords =
        "big deep far fast heavy high large long many much often old quickly small soon tall wide";

    private const double LightWeight = 0.3;

    /// <summary>A name or a number says what a question is about more than another word does.</summary>
    private const double NameWeight = 2;

    private static readonly HashSet<string> Light = [.. TermReader.TermsOf(LightWords)];
    private static readonly HashSet<string> Measures = [.. TermReader.TermsOf(MeasureWords)];

    private static readonly HashSet<string> Stems = [.. TermReader.TermsOf(Words)];

    internal static bool Contains(string term) => Stems.Contains(term);

    /// <summary>
    /// The terms of a question with their weights, 1 for most: no stop words, little for the words of asking and for
    /// the measure in <c>how long</c>, twice as much for names and numbers.
    /// </summary>
    internal static Dictionary<string, double> Subject(string question)
    {
        var terms = TermReader.TermsOf(question);
        var names = Names(question);
        var subject = new Dictionary<string, double>(StringComparer.Ordinal);
        for (var i = 0; i < terms.Count; i++)
        {
            if (!Stems.Contains(terms[i]))
            {
                var light = Light.Contains(terms[i]) || (i > 0 && terms[i - 1] == "how" && Measures.Contains(terms[i]));
                subject.TryAdd(terms[i],
                    (light ? LightWeight : 1) * (names.Contains(terms[i]) ? NameWeight : 1));
            }
        }

        return subject;
    }

    /// <summary>
    /// The names and numbers without which nothing answers: those of the last sentence that asks. None where a sentence
    /// has more of them than stop words, for that is no English sentence, and other languages use capitals otherwise.
    /// </summary>
    internal static HashSet<string> Required(string question)
    {
        var asking = Sentences.Split(question).Select(range => question[range].Trim())
            .LastOrDefault(static sentence => sentence.EndsWith('?')) ?? question;
        var names = Names(asking);
        names.RemoveWhere(static name => Contains(name) || Light.Contains(name));
        return names.Count <= TermReader.TermsOf(asking).Count(Contains) && asking.Any(char.IsLower) ? names : [];
    }

    /// <summary>The terms of words with a capital or a digit; the capital that opens a question is none.</summary>
    private static HashSet<string> Names(string question)
    {
        var names = new List<string>();
        var reader = new TermReader();
        var isFirst = true;
        foreach (var word in question.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
        {
            var letters = word.AsSpan().TrimStart("\"'“‘«([");
            if (letters.Length > 0 && (char.IsDigit(letters[0]) || (!isFirst && char.IsUpper(letters[0]))))
            {
                reader.Read(letters, names);
            }

            isFirst = false;
        }

        return [.. names];
    }

    /// <summary>The distinct terms that carry meaning; all distinct terms when none does.</summary>
    internal static List<string> Strip(IReadOnlyList<string> terms)
    {
        var distinct = terms.Distinct(StringComparer.Ordinal).ToList();
        var meaning = distinct.FindAll(static term => !Stems.Contains(term));
        return meaning.Count > 0 ? meaning : distinct;
    }
}
