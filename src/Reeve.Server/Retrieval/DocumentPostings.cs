using Reeve.Server.Inference.Providers.Builtin;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>In which chunks of one document a term stands, packed by <see cref="PackedPostings"/>.</summary>
internal sealed record Posting(string Term, byte[] Chunks, int ChunkCount, bool HasPlaces);

/// <summary>What a document adds to its agent's index.</summary>
internal sealed record DocumentPostings(IReadOnlyList<Posting> Terms, long TermCount)
{
    /// <summary>Lies between two texts that follow each other, so that their words are not near each other.</summary>
    private const int Gap = Nearness.Window + 1;

    /// <summary>
    /// The headings that a chunk stands under are searched as if they stood in it, so that one which does stand in it
    /// counts twice.
    /// </summary>
    /// <param name="chunks">Of each chunk its text and its headings, outermost first, in their order.</param>
    internal static DocumentPostings Of(IEnumerable<(string Text, IReadOnlyList<string> Headings)> chunks)
    {
        var packed = new Dictionary<string, Builder>(StringComparer.Ordinal);
        var (terms, met) = (new List<string>(), new List<Builder>());
        var reader = new TermReader();
        var (total, index) = (0L, 0);
        foreach (var (text, headings) in chunks)
        {
            terms.Clear();
            met.Clear();
            reader.Read(text, terms);
            Take(packed, terms, 0, place: 0, met);
            var (read, gaps) = (terms.Count, 0);
            foreach (var heading in headings)
            {
                reader.Read(heading, terms);
                Take(packed, terms, read, read + (++gaps * Gap), met);
                read = terms.Count;
            }

            foreach (var builder in met)
            {
                builder.Finish(index, terms.Count);
            }

            total += terms.Count;
            index++;
        }

        // In the order of the index, so that writing it walks the tree once.
        return new DocumentPostings([.. packed.OrderBy(static entry => entry.Key, StringComparer.Ordinal)
            .Select(static entry => entry.Value.Build(entry.Key))], total);
    }

    internal static DocumentPostings Of(IReadOnlyList<ChunkRange> chunks) =>
        Of(chunks.Select(static chunk => (chunk.Text, chunk.Headings)));

    /// <summary>The same for an encrypted document: its terms as only the account's key tells them.</summary>
    internal DocumentPostings Blinded(ContentKey key, string agentId) => this with
    {
        Terms = [.. Terms
            .Select(posting => PackedPostings.Unplaced(posting with { Term = key.Blind(agentId, posting.Term) }))
            .OrderBy(static posting => posting.Term, StringComparer.Ordinal)],
    };

    private static void Take(
        Dictionary<string, Builder> packed, List<string> terms, int from, int place, List<Builder> met)
    {
        for (var i = from; i < terms.Count; i++, place++)
        {
            ref var builder = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(
                packed, terms[i], out _);
            builder ??= new Builder(!StopWords.Contains(terms[i]));
            if (builder.Add(place))
            {
                met.Add(builder);
            }
        }
    }

    /// <summary>Of one term: the finished chunks, and the places in the one that is being read.</summary>
    private sealed class Builder(bool hasPlaces)
    {
        private readonly List<byte> _bytes = new(8);
        private readonly List<byte> _places = [];
        private int _chunks;
        private int _count;
        private int _last;

        /// <summary>True for the first place of a chunk.</summary>
        internal bool Add(int place)
        {
            if (hasPlaces)
            {
                PackedPostings.Append(_places, place - _last);
                _last = place;
            }

            return ++_count == 1;
        }

        internal void Finish(int index, int length)
        {
            PackedPostings.AppendChunk(_bytes, index, length, _count);
            _bytes.AddRange(_places);
            _places.Clear();
            _chunks++;
            (_count, _last) = (0, 0);
        }

        internal Posting Build(string term) => new(term, [.. _bytes], _chunks, hasPlaces);
    }
}
