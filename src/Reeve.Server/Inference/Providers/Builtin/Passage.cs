using System.Buffers;

namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>A sentence of a passage with what <see cref="QuoteSelector"/> makes of it.</summary>
internal sealed class Sentence
{
    internal required int Passage { get; init; }

    internal required int Index { get; init; }

    /// <summary>Where it begins in the text of its chunk, without a list marker.</summary>
    internal required int Start { get; init; }

    internal required string Text { get; init; }

    /// <summary>It is an item of a list or a row of a table.</summary>
    internal required bool IsItem { get; init; }

    /// <summary>It is an item with a number.</summary>
    internal required bool IsStep { get; init; }

    /// <summary>It begins with a word that points to the sentence before, as <c>it</c> does.</summary>
    internal required bool Leans { get; init; }

    /// <summary>It opens its chunk with such a word.</summary>
    internal required bool LeansOnChunkBefore { get; init; }

    /// <summary>It opens its chunk with a pronoun: what that stands for, the heading tells.</summary>
    internal required bool LeansOnHeading { get; init; }

    internal required HashSet<string> Terms { get; init; }

    /// <summary>The words of the question that it or what stands around it holds, by their weights.</summary>
    internal double Evidence { get; set; }

    /// <summary>It holds a word of the question itself.</summary>
    internal bool IsMatch { get; set; }

    /// <summary>It or what stands around it holds a word of earlier turns that the question does not.</summary>
    internal bool IsOnTopic { get; set; }

    internal double Score { get; set; }
}

/// <summary>A chunk cut into sentences; headings are no sentences.</summary>
internal sealed class Passage
{
    private const double HeadingShare = 0.5;
    private const double AntecedentShare = 0.8;
    private const double NeighbourShare = 0.3;
    private const double ChunkShare = 0.15;

    /// <summary>Of a list, so many items are quoted with the sentence that leads to it.</summary>
    private const int ItemsMax = 8;

    private static readonly HashSet<string> Pronouns = new(StringComparer.OrdinalIgnoreCase)
    {
        "it", "its", "they", "their", "them", "this", "these", "those", "he", "she", "his", "her",
    };

    private static readonly HashSet<string> Leaning = new(StringComparer.OrdinalIgnoreCase)
    {
        "it", "its", "they", "their", "them", "this", "that", "these", "those", "he", "she", "his", "her", "such", "so",
        "then", "but", "and", "otherwise", "instead", "therefore", "hence", "both", "neither", "either", "however",
        "also", "nor", "or", "there",
    };

    private static readonly SearchValues<char> WordEnds = SearchValues.Create(" ,;:'’");

    private readonly HashSet<string> _headingTerms;
    private readonly HashSet<string> _allTerms = new(StringComparer.Ordinal);

    internal Passage(SourceContent source, int place, TermReader reader)
    {
        Source = source;
        Place = place;
        _headingTerms = TermsOf(reader, string.Join('\n', source.Headings) + '\n' + source.DocumentName);
        foreach (var range in Builtin.Sentences.Split(source.Text))
        {
            var (start, length) = range.GetOffsetAndLength(source.Text.Length);
            var text = source.Text.AsSpan(start, length).TrimEnd();
            start += text.Length - text.TrimStart().Length;
            text = text.TrimStart();
            var marker = Builtin.Sentences.MarkerLength(text);
            Add(start + marker, text[marker..].ToString(), text[..marker], reader);
        }
    }

    internal SourceContent Source { get; }

    internal int Place { get; }

    internal List<Sentence> Sentences { get; } = [];

    /// <param name="subject">The question's terms as they were asked, by their weights.</param>
    /// <param name="wanted">The same with those of earlier turns, weighed by rarity too.</param>
    /// <param name="kind">What kind of thing is asked for.</param>
    internal void Score(
        Dictionary<string, double> subject, Dictionary<string, double> wanted, QuestionKind kind)
    {
        var total = wanted.Sum(static term => term.Value);
        foreach (var sentence in Sentences)
        {
            var (direct, around) = (0.0, 0.0);
            foreach (var (term, weight) in wanted)
            {
                if (sentence.Terms.Contains(term))
                {
                    direct += weight;
                }
                else
                {
                    around += weight * ShareAround(sentence.Index, term);
                }
            }

            sentence.Evidence = subject.Sum(term => HoldsNear(sentence.Index, term.Key) ? term.Value : 0);
            sentence.IsOnTopic = wanted.Keys.Any(
                term => !subject.ContainsKey(term) && HoldsNear(sentence.Index, term));
            sentence.IsMatch = subject.Keys.Any(term => sentence.Terms.Contains(term)
                || (sentence.LeansOnHeading && _headingTerms.Contains(term)));
            sentence.Score = ((direct + around) / total) + kind.Bonus(sentence, wanted)
                + (sentence.Index == 0 ? 0.03 : 0) - (0.02 * Math.Min(Place, 5))
                - (sentence.Terms.Count < 4 ? 0.15 : sentence.Terms.Count > 60 ? 0.05 : 0);
        }
    }

    internal bool HasAll(HashSet<string> terms) =>
        terms.All(term => _allTerms.Contains(term) || _headingTerms.Contains(term));

    /// <summary>
    /// Adds the sentence and those without which it cannot be understood; where steps are asked for, all of them.
    /// </summary>
    internal void AddReadable(int index, bool withSteps, SortedSet<int> indexes)
    {
        indexes.Add(index);
        if (withSteps && (Sentences[index].IsStep || (index + 1 < Sentences.Count && Sentences[index + 1].IsStep)))
        {
            var (first, last) = (index, index);
            while (first > 0 && index - first < ItemsMax && Sentences[first - 1].IsStep)
            {
                first--;
            }

            while (last + 1 < Sentences.Count && last - first < ItemsMax && Sentences[last + 1].IsStep)
            {
                last++;
            }

            indexes.UnionWith(Enumerable.Range(first, last - first + 1));
        }

        for (var i = index; i > 0 && index - i < 2 && Sentences[i].Leans; i--)
        {
            indexes.Add(i - 1);
        }

        if (Sentences[index].Text.EndsWith(':'))
        {
            for (var i = index + 1; i < Sentences.Count && i <= index + ItemsMax; i++)
            {
                if (i > index + 1 && !Sentences[i].IsItem)
                {
                    break;
                }

                indexes.Add(i);
            }
        }
    }

    /// <summary>
    /// The quotes of these sentences: neighbours in one paragraph are one quote, as it stands in the chunk.
    /// </summary>
    internal List<Quote> Quotes(SortedSet<int> indexes)
    {
        var quotes = new List<Quote>();
        var (first, last) = (-1, -1);
        foreach (var index in indexes)
        {
            if (first >= 0 && index == last + 1 && IsJoined(Sentences[last], Sentences[index]))
            {
                last = index;
                continue;
            }

            if (first >= 0)
            {
                quotes.Add(QuoteOf(first, last));
            }

            (first, last) = (index, index);
        }

        quotes.Add(QuoteOf(first, last));
        return quotes;
    }

    /// <summary>
    /// The sentence that ends the chunk before, where the first one leans on it and both are of one section; null: it
    /// does not, or that chunk is not at hand.
    /// </summary>
    internal Sentence? EndBefore(IEnumerable<Passage> passages) =>
        Sentences[0].LeansOnChunkBefore && Source.Position is var (document, index)
        && passages.FirstOrDefault(other => other.Source.Position == (document, index - 1)) is { } before
        && before.Source.Headings.SequenceEqual(Source.Headings)
        && !(Source.Headings.Count > 0 && Source.Text.AsSpan().TrimStart().StartsWith(Source.Headings[^1]))
            ? before.Sentences.LastOrDefault(static sentence => !sentence.IsItem) : null;

    internal Quote QuoteOf(Sentence sentence) => QuoteOf(sentence.Index, sentence.Index);

    private Quote QuoteOf(int first, int last)
    {
        var (begin, end) = (Sentences[first], Sentences[last]);
        var lead = begin.LeansOnHeading ? Source.Headings[^1] + ": " : "";
        return new Quote(Source, Source.Text[begin.Start..(end.Start + end.Text.Length)], lead, begin.IsItem);
    }

    private bool IsJoined(Sentence left, Sentence right)
    {
        var between = Source.Text.AsSpan((left.Start + left.Text.Length)..right.Start);
        return !left.IsItem && !right.IsItem && between.IsWhiteSpace() && between.Count('\n') < 2;
    }

    private void Add(int start, string text, ReadOnlySpan<char> marker, TermReader reader)
    {
        if (text.Length == 0 || Source.Headings.Contains(text))
        {
            return;
        }

        var terms = TermsOf(reader, text);
        _allTerms.UnionWith(terms);
        Sentences.Add(new Sentence
        {
            Passage = Place,
            Index = Sentences.Count,
            Start = start,
            Text = text,
            IsItem = marker.Length > 0 || text.Contains(" | ", StringComparison.Ordinal),
            IsStep = marker.Length > 0 && char.IsAsciiDigit(marker[0]),

            // Items of a list do not lean on each other.
            Leans = marker.Length == 0 && Sentences.Count > 0 && Opens(text, Leaning),
            LeansOnChunkBefore = marker.Length == 0 && Sentences.Count == 0 && Opens(text, Leaning),
            LeansOnHeading = marker.Length == 0 && Sentences.Count == 0 && Source.Headings.Count > 0
                && Opens(text, Pronouns),
            Terms = terms,
        });
    }

    private bool HoldsNear(int index, string term) => Sentences[index].Terms.Contains(term)
        || _headingTerms.Contains(term)
        || (index > 0 && Sentences[index - 1].Terms.Contains(term))
        || (index + 1 < Sentences.Count && Sentences[index + 1].Terms.Contains(term));

    private double ShareAround(int index, string term)
    {
        // "It weighs a ton" is about what the sentence before named.
        if (Sentences[index].Leans && Sentences[index - 1].Terms.Contains(term))
        {
            return AntecedentShare;
        }

        return _headingTerms.Contains(term) ? HeadingShare
            : HoldsNear(index, term) ? NeighbourShare
            : _allTerms.Contains(term) ? ChunkShare
            : 0;
    }

    private static bool Opens(string sentence, HashSet<string> words)
    {
        var end = sentence.AsSpan().IndexOfAny(WordEnds);
        return words.GetAlternateLookup<ReadOnlySpan<char>>().Contains(end < 0 ? sentence : sentence.AsSpan(0, end));
    }

    private static HashSet<string> TermsOf(TermReader reader, string text)
    {
        var terms = new List<string>();
        reader.Read(text, terms);
        return [.. terms];
    }
}
