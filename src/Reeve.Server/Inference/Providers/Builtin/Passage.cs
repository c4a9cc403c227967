using System.Buffers;

namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>A sentence of a passage with what <see cref="QuoteSelector"/> makes of it.</summary>
internal sealed class Sentence(int passage, int index, string text, bool leans, HashSet<string> terms)
{
    internal int Passage { get; } = passage;

    internal int Index { get; } = index;

    internal string Text { get; } = text;

    /// <summary>It begins with a word that points to the sentence before, as <c>it</c> does.</summary>
    internal bool Leans { get; } = leans;

    internal HashSet<string> Terms { get; } = terms;

    /// <summary>The part of the question that the sentence itself holds.</summary>
    internal double Direct { get; set; }

    /// <summary>The same with its surroundings.</summary>
    internal double Support { get; set; }

    internal double Score { get; set; }
}

/// <summary>A chunk cut into sentences; headings are no sentences.</summary>
internal sealed class Passage
{
    private const double HeadingShare = 0.5;
    private const double AntecedentShare = 0.8;
    private const double NeighbourShare = 0.3;
    private const double ChunkShare = 0.15;
    private const int ContinuationsMax = 3;

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
            var text = source.Text[range].Trim();
            var marker = Builtin.Sentences.MarkerLength(text);
            text = text[marker..];
            if (text.Length > 0 && !source.Headings.Contains(text))
            {
                var terms = TermsOf(reader, text);
                _allTerms.UnionWith(terms);

                // Items of a list do not lean on each other.
                var leans = marker == 0 && Sentences.Count > 0 && StartsLeaning(text);
                Sentences.Add(new Sentence(place, Sentences.Count, text, leans, terms));
            }
        }
    }

    internal SourceContent Source { get; }

    internal int Place { get; }

    internal List<Sentence> Sentences { get; } = [];

    internal void Score(Dictionary<string, double> wanted, double total, QuestionKind kind)
    {
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

            sentence.Direct = direct / total;
            sentence.Support = (direct + around) / total;
            sentence.Score = sentence.Support + kind.Bonus(sentence, wanted)
                + (sentence.Index == 0 ? 0.03 : 0) - (0.02 * Math.Min(Place, 5))
                - (sentence.Terms.Count < 4 ? 0.15 : sentence.Terms.Count > 60 ? 0.05 : 0);
        }
    }

    /// <summary>Adds the sentence and those without which it cannot be understood.</summary>
    internal void AddReadable(int index, SortedSet<int> indexes)
    {
        indexes.Add(index);
        for (var i = index; i > 0 && index - i < 2 && Sentences[i].Leans; i--)
        {
            indexes.Add(i - 1);
        }

        if (Sentences[index].Text.EndsWith(':'))
        {
            for (var i = index + 1; i <= index + ContinuationsMax && i < Sentences.Count; i++)
            {
                indexes.Add(i);
            }
        }
    }

    private double ShareAround(int index, string term)
    {
        // "It weighs a ton" is about what the sentence before named.
        if (Sentences[index].Leans && Sentences[index - 1].Terms.Contains(term))
        {
            return AntecedentShare;
        }

        var near = (index > 0 && Sentences[index - 1].Terms.Contains(term))
            || (index + 1 < Sentences.Count && Sentences[index + 1].Terms.Contains(term));
        return _headingTerms.Contains(term) ? HeadingShare
            : near ? NeighbourShare
            : _allTerms.Contains(term) ? ChunkShare
            : 0;
    }

    private static bool StartsLeaning(string sentence)
    {
        var end = sentence.AsSpan().IndexOfAny(WordEnds);
        return Leaning.GetAlternateLookup<ReadOnlySpan<char>>().Contains(end < 0 ? sentence : sentence.AsSpan(0, end));
    }

    private static HashSet<string> TermsOf(TermReader reader, string text)
    {
        var terms = new List<string>();
        reader.Read(text, terms);
        return [.. terms];
    }
}
