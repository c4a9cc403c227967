using System.Runtime.InteropServices;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>A chunk by the number of its document and its index there, and its score in (0, 1].</summary>
internal readonly record struct RankedChunk(long Document, int Index, double Score);

/// <summary>
/// Ranks the chunks of one index for one query. A chunk's score is the sum of two parts over the score of a chunk that
/// held every term without end and the query once as a phrase:
/// <list type="bullet">
/// <item>BM25 (Robertson and Zaragoza, 2009) with the idf log(1 + (N - n + 0.5) / (n + 0.5)), which is never negative;
/// </item>
/// <item>for each pair of terms that it has, what they gain by <see cref="Nearness"/>.</item>
/// </list>
/// </summary>
/// <remarks>
/// A document lies whole in one block of the index, so the blocks are scored one after the other: what is summed up at
/// a time stays in the processor's cache, whatever the size of the index.
/// </remarks>
internal sealed class ChunkRanker
{
    /// <summary>
    /// The share of repeated occurrences: a term met k times counts k / (k + this), for a chunk of mean length.
    /// </summary>
    private const double Saturation = 1.2;

    /// <summary>How far a longer chunk than the mean pays for its length.</summary>
    private const double LengthWeight = 0.75;

    /// <summary>
    /// The last comes out first. Equal scores in the order of the documents, so that the same search gives the same.
    /// </summary>
    internal static readonly Comparer<(double Score, long Key)> LastFirst =
        Comparer<(double Score, long Key)>.Create(static (left, right) =>
            left.Score.CompareTo(right.Score) is var byScore and not 0 ? byScore : right.Key.CompareTo(left.Key));

    private readonly List<List<(int Term, byte[] Postings)>> _blocks = [];
    private readonly double[] _weights;
    private readonly double _meanLength;
    private readonly double _bound;
    private readonly Dictionary<long, Slot> _slots = [];
    private readonly List<Hit> _hits = [];
    private readonly List<int> _places = [];
    private readonly List<(int Term, int Start, int End)> _placed = [];

    /// <param name="session">From which the postings are read.</param>
    /// <param name="index">Of the agent.</param>
    /// <param name="terms">Of each distinct term of the query the names under which it stands in the index.</param>
    internal ChunkRanker(DbSession session, SearchIndex index, IReadOnlyList<string[]> terms)
    {
        var chunkCounts = new long[terms.Count];
        foreach (var block in SearchIndexStore.Blocks(session, index.Number))
        {
            var held = new List<(int, byte[])>();
            for (var term = 0; term < terms.Count; term++)
            {
                foreach (var name in terms[term])
                {
                    if (SearchIndexStore.PostingsAt(session, index.Number, name, block) is { } postings)
                    {
                        held.Add((term, postings));
                        chunkCounts[term] += CountChunks(postings);
                    }
                }
            }

            _blocks.Add(held);
        }

        _weights = Array.ConvertAll(chunkCounts, chunks =>
            Math.Log(1 + ((index.ChunkCount - chunks + 0.5) / (chunks + 0.5))));
        _meanLength = Math.Max(1, index.TermCount / (double)index.ChunkCount);
        _bound = _weights.Sum() + Nearness.OfPhrase(_weights);
    }

    /// <summary>
    /// The best chunks, at most <paramref name="count"/>, best first, of the documents that <paramref name="fits"/>.
    /// Each key of <paramref name="wanted"/> gets the score of its chunk, whatever that is.
    /// </summary>
    internal List<RankedChunk> Best(int count, Predicate<long>? fits, Dictionary<long, double>? wanted = null)
    {
        var best = new PriorityQueue<long, (double Score, long Key)>(LastFirst);
        foreach (var block in _blocks)
        {
            Sum(block);
            foreach (var (key, slot) in _slots)
            {
                var rank = (slot.Score, key);
                if (best.Count < count || LastFirst.Compare(WithNearnessAtMost(slot, key), Last(best)) > 0)
                {
                    rank = (slot.Score + NearnessOf(slot, block), key);
                }

                if ((best.Count < count || LastFirst.Compare(rank, Last(best)) > 0)
                    && (fits is null || fits(ChunkKey.Document(key))))
                {
                    best.Enqueue(key, rank);
                    if (best.Count > count)
                    {
                        best.Dequeue();
                    }
                }
            }

            foreach (var key in wanted?.Keys ?? Enumerable.Empty<long>())
            {
                if (_slots.TryGetValue(key, out var slot))
                {
                    CollectionsMarshal.GetValueRefOrNullRef(wanted!, key) =
                        Share(slot.Score + NearnessOf(slot, block));
                }
            }
        }

        var ranked = new List<RankedChunk>(best.Count);
        while (best.TryDequeue(out var key, out var rank))
        {
            ranked.Add(new RankedChunk(ChunkKey.Document(key), ChunkKey.Index(key), Share(rank.Score)));
        }

        ranked.Reverse();
        return ranked;
    }

    private double Share(double score) => Math.Clamp(score / _bound, 0, 1);

    private static (double Score, long Key) Last(PriorityQueue<long, (double Score, long Key)> best)
    {
        best.TryPeek(out _, out var last);
        return last;
    }

    private static long CountChunks(ReadOnlySpan<byte> postings)
    {
        var chunks = 0L;
        while (!postings.IsEmpty)
        {
            chunks += PackedPostings.NextDocument(ref postings).ChunkCount;
        }

        return chunks;
    }

    /// <summary>Adds up BM25 over the chunks of a block, and notes where the places of each hit are.</summary>
    private void Sum(List<(int Term, byte[] Postings)> block)
    {
        _slots.Clear();
        _hits.Clear();
        for (var source = 0; source < block.Count; source++)
        {
            var (term, postings) = block[source];
            ReadOnlySpan<byte> rest = postings;
            while (!rest.IsEmpty)
            {
                var document = PackedPostings.NextDocument(ref rest);
                var chunks = document.Chunks;
                while (!chunks.IsEmpty)
                {
                    var index = PackedPostings.Next(ref chunks);
                    var count = (int)PackedPostings.Next(ref chunks);
                    var length = PackedPostings.Next(ref chunks);
                    var damping = Saturation * (1 - LengthWeight + (LengthWeight * length / _meanLength));
                    ref var slot = ref CollectionsMarshal.GetValueRefOrAddDefault(
                        _slots, ChunkKey.Of(document.Number, (int)index), out _);
                    slot.Score += _weights[term] * count / (count + damping);
                    if (document.HasPlaces)
                    {
                        var place = postings.Length - rest.Length - chunks.Length;
                        _hits.Add(new Hit(term, source, place, count, slot.LastHit));
                        slot.LastHit = _hits.Count;
                        slot.Weight += _weights[term];
                        slot.Placed++;
                        PackedPostings.Skip(ref chunks, count);
                    }
                }
            }
        }
    }

    // Of n terms each is the smaller one of at most n - 1 pairs; summed over all, of half of them on the mean.
    private static (double Score, long Key) WithNearnessAtMost(in Slot slot, long key) =>
        (slot.Score + (Nearness.Share * slot.Weight * (slot.Placed - 1) / 2), key);

    private double NearnessOf(in Slot slot, List<(int Term, byte[] Postings)> block)
    {
        if (slot.Placed < 2)
        {
            return 0;
        }

        _places.Clear();
        _placed.Clear();
        for (var at = slot.LastHit; at > 0; at = _hits[at - 1].Before)
        {
            var hit = _hits[at - 1];
            ReadOnlySpan<byte> packed = block[hit.Source].Postings.AsSpan(hit.Place);
            var (start, place) = (_places.Count, 0);
            for (var i = 0; i < hit.Count; i++)
            {
                _places.Add(place += (int)PackedPostings.Next(ref packed));
            }

            _placed.Add((hit.Term, start, _places.Count));
        }

        var gain = 0.0;
        var places = CollectionsMarshal.AsSpan(_places);
        for (var i = 0; i < _placed.Count; i++)
        {
            for (var j = i + 1; j < _placed.Count; j++)
            {
                var distance = Nearness.Distance(
                    places[_placed[i].Start.._placed[i].End], places[_placed[j].Start.._placed[j].End]);
                gain += Nearness.Gain(_weights[_placed[i].Term], _weights[_placed[j].Term], distance);
            }
        }

        return gain;
    }

    /// <summary>What a chunk has so far. <c>LastHit</c> counts from 1.</summary>
    private record struct Slot(double Score, double Weight, int Placed, int LastHit);

    /// <summary>A term in a chunk: which postings have its places, from which byte on, and the hit before it.</summary>
    private readonly record struct Hit(int Term, int Source, int Place, int Count, int Before);
}
