namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>A sentence to quote, as it stands in its chunk.</summary>
internal sealed record Quote(SourceContent Source, string Text);

/// <summary>
/// Chooses the sentences that answer a question, or none.
/// </summary>
/// <remarks>
/// A sentence is supported by the part of the question's meaning that it holds: the terms of the question weighted by
/// their rarity among the sentences at hand, those of the headings, the neighbours and the rest of the chunk counting
/// less. The kind of question (who, when, how many, why, what is) shifts the order among supported sentences. Where
/// no sentence reaches <see cref="SupportMin"/> the documents do not answer.
/// </remarks>
internal static class QuoteSelector
{
    internal const int QuotesMax = 3;

    private const double SupportMin = 0.45;
    private const double EarlierTurnWeight = 0.4;
    private const double LikenessMax = 0.85;

    /// <summary>Groups of quotes, one a chunk, the best first; empty when the sources do not answer.</summary>
    internal static List<List<Quote>> Select(
        string question, IReadOnlyList<string> earlier, IReadOnlyList<SourceContent> sources)
    {
        var passages = Passages(sources);
        var sentences = passages.SelectMany(static passage => passage.Sentences).ToList();
        var wanted = Weigh(question, earlier, sentences);
        var total = wanted.Sum(static term => term.Value);
        if (total <= 0)
        {
            return [];
        }

        var kind = QuestionKinds.Of(question);
        foreach (var passage in passages)
        {
            passage.Score(wanted, total, kind);
        }

        var ranked = sentences.Where(static sentence => sentence.Direct > 0 && sentence.Support >= SupportMin)
            .OrderByDescending(static sentence => sentence.Score).ToList();
        return Group(Choose(ranked), passages);
    }

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

    // A term that stands nowhere weighs as much as the rarest that does: what the documents lack counts against them.
    private static Dictionary<string, double> Weigh(
        string question, IReadOnlyList<string> earlier, List<Sentence> sentences)
    {
        var weights = StopWords.Subject(question);
        foreach (var (term, weight) in earlier.SelectMany(StopWords.Subject))
        {
            weights.TryAdd(term, EarlierTurnWeight * weight);
        }

        foreach (var (term, weight) in weights)
        {
            var holding = Math.Max(1, sentences.Count(sentence => sentence.Terms.Contains(term)));
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

            if (chosen.Count == 0 || (sentence.Score >= 0.8 * chosen[0].Score
                && sentence.Support >= 0.7 * chosen[0].Support
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

    private static List<List<Quote>> Group(List<Sentence> chosen, List<Passage> passages)
    {
        var groups = new List<List<Quote>>();
        foreach (var place in chosen.Select(static sentence => sentence.Passage).Distinct())
        {
            var passage = passages[place];
            var indexes = new SortedSet<int>();
            foreach (var sentence in chosen.Where(sentence => sentence.Passage == place))
            {
                passage.AddReadable(sentence.Index, indexes);
            }

            groups.Add([.. indexes.Select(index => new Quote(passage.Source, passage.Sentences[index].Text))]);
        }

        return groups;
    }
}
