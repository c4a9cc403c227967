namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>A part of a chunk's text, as it stands there.</summary>
/// <param name="Source">The chunk.</param>
/// <param name="Text">The part.</param>
/// <param name="Lead">Words to say before it, which are no part of it; often none.</param>
/// <param name="IsItem">It stands on a line of its own.</param>
internal sealed record Quote(SourceContent Source, string Text, string Lead, bool IsItem);

/// <summary>
/// Chooses the sentences that answer a question, or none.
/// </summary>
/// <remarks>
/// Two things are asked of each sentence. Does it answer at all: it, its neighbours or its headings must hold enough
/// of the question's words (<see cref="WordsMin"/>, <see cref="ShareMin"/>), where names and numbers count double and
/// rarity counts nothing, for how rare a word is among the few chunks at hand says little; and its chunk must have each
/// of the question's names and numbers. Which answers best: the part of the question's terms that it holds, weighted by
/// their rarity, those around it counting less, and whether it offers the kind of thing that is asked for. Where no
/// sentence passes the first the documents do not answer. How the figures were found: decision 0034.
/// </remarks>
internal static class QuoteSelector
{
    internal const int QuotesMax = 3;

    /// <summary>The input of an agent is no longer; each of its words is looked for in every sentence.</summary>
    private const int QuestionCharactersMax = 8_000;

    /// <summary>Of a question, a third of the words and half a word more: of two words both, of ten four.</summary>
    private const double ShareMin = 1.0 / 3;
    private const double WordsMin = 0.5;

    /// <summary>What the words of earlier turns count where the question has words of its own.</summary>
    private const double EarlierTurnWeight = 0.4;

    /// <summary>Another sentence is quoted too when it has so much of the best one's score.</summary>
    private const double FurtherMin = 0.75;
    private const double LikenessMax = 0.85;

    /// <summary>
    /// Groups of quotes, one a chunk, the best first; empty when the sources do not answer. Where a chunk opens with a
    /// word that leans on the chunk before, the group begins with the end of that one.
    /// </summary>
    internal static List<List<Quote>> Select(
        string question, IReadOnlyList<string> earlier, IReadOnlyList<SourceContent> sources)
    {
        question = Bounded(question);
        earlier = [.. earlier.Select(Bounded)];
        var passages = Passages(sources);
        var sentences = passages.SelectMany(static passage => passage.Sentences).ToList();
        var subject = StopWords.Subject(question);
        var stands = subject.Values.Any(static weight => weight >= 1);
        var wanted = With(earlier, stands ? EarlierTurnWeight : 1, subject);
        subject = stands ? subject : wanted;
        if (subject.Count == 0)
        {
            return [];
        }

        // "And for children?" asks for what was asked before.
        var kind = QuestionKinds.Of(question);
        kind = kind == QuestionKinds.Other && earlier.Count > 0 ? QuestionKinds.Of(earlier[0]) : kind;
        var weighed = Weigh(wanted, sentences);
        foreach (var passage in passages)
        {
            passage.Score(subject, weighed, kind);
        }

        var needed = WordsMin + (ShareMin * subject.Values.Sum());
        var names = StopWords.Required(question);
        var ranked = passages.Where(passage => passage.HasAll(names))
            .SelectMany(static passage => passage.Sentences)
            .Where(sentence => sentence.IsMatch && sentence.Evidence >= needed)
            .OrderByDescending(static sentence => sentence.Score).ToList();
        return Group(Choose(OnTopic(ranked, subject, wanted)), passages, QuestionKinds.AsksForSteps(question));
    }

    /// <summary>
    /// What belongs to the earlier turns too, where the question leans on these. A question of one word says nothing
    /// without them; one of more may have left them.
    /// </summary>
    private static List<Sentence> OnTopic(
        List<Sentence> ranked, Dictionary<string, double> subject, Dictionary<string, double> wanted)
    {
        if (wanted.Count == subject.Count)
        {
            return ranked;
        }

        var near = ranked.FindAll(static sentence => sentence.IsOnTopic);
        return near.Count > 0 || subject.Values.Count(static weight => weight >= 1) == 1 ? near : ranked;
    }

    /// <summary>Of a whole book that somebody asks, its beginning and its end.</summary>
    private static string Bounded(string question) => question.Length <= QuestionCharactersMax
        ? question : $"{question[..(QuestionCharactersMax / 4)]}\n{question[^(QuestionCharactersMax / 4)..]}";

    private static List<Passage> Passages(IReadOnlyList<SourceContent> sources)
    {
        var reader = new TermReader();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var passages = new List<Passage>();
        foreach (var source in sources)
        {
            if (seen.Add(source.ChunkId))
            {
                passages.Add(new Passage(source, passages.Count, reader));
            }
        }

        return passages;
    }

    private static Dictionary<string, double> With(
        IReadOnlyList<string> earlier, double share, Dictionary<string, double> subject)
    {
        var all = new Dictionary<string, double>(subject, StringComparer.Ordinal);
        foreach (var (term, weight) in earlier.SelectMany(StopWords.Subject))
        {
            all.TryAdd(term, share * weight);
        }

        return all;
    }

    // A term that stands nowhere weighs as much as the rarest that does: what the documents lack counts against them.
    private static Dictionary<string, double> Weigh(Dictionary<string, double> wanted, List<Sentence> sentences)
    {
        var weights = new Dictionary<string, double>(StringComparer.Ordinal);
        var counts = sentences.SelectMany(static sentence => sentence.Terms).Where(wanted.ContainsKey)
            .CountBy(static term => term).ToDictionary(StringComparer.Ordinal);
        foreach (var (term, weight) in wanted)
        {
            var holding = Math.Max(1, counts.GetValueOrDefault(term));
            weights[term] = weight * Math.Log(1 + ((sentences.Count - holding + 0.5) / (holding + 0.5)));
        }

        return weights;
    }

    private static List<Sentence> Choose(List<Sentence> ranked)
    {
        var chosen = new List<Sentence>();
        foreach (var sentence in ranked)
        {
            if (chosen.Count == QuotesMax)
            {
                break;
            }

            if (chosen.Count == 0 || (sentence.Score >= FurtherMin * chosen[0].Score
                && chosen.TrueForAll(other => Likeness(other, sentence) < LikenessMax)))
            {
                chosen.Add(sentence);
            }
        }

        return chosen;
    }

    private static double Likeness(Sentence left, Sentence right)
    {
        var (common, smaller) = (0, Math.Min(left.Terms.Count, right.Terms.Count));
        foreach (var term in left.Terms)
        {
            common += right.Terms.Contains(term) ? 1 : 0;
        }

        return common / (double)Math.Max(1, smaller);
    }

    private static List<List<Quote>> Group(List<Sentence> chosen, List<Passage> passages, bool asksForSteps)
    {
        var groups = new List<List<Quote>>();
        foreach (var place in chosen.Select(static sentence => sentence.Passage).Distinct())
        {
            var passage = passages[place];
            var indexes = new SortedSet<int>();
            foreach (var sentence in chosen.Where(sentence => sentence.Passage == place))
            {
                passage.AddReadable(sentence.Index, asksForSteps, indexes);
            }

            var quotes = passage.Quotes(indexes);
            if (indexes.Min == 0 && passage.EndBefore(passages) is { } before && !chosen.Contains(before))
            {
                quotes[0] = quotes[0] with { Lead = "" };
                quotes.Insert(0, passages[before.Passage].QuoteOf(before));
            }

            groups.Add(quotes);
        }

        return groups;
    }
}
