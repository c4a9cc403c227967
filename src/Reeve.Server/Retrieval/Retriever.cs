using System.Runtime.InteropServices;
using System.Text.Json;
using Reeve.Server.Inference.Providers.Builtin;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// Lexical search over the chunks of one agent: BM25 on stemmed terms, stop words left out of the query, every
/// statistic
/// taken from that agent's chunks alone. The score is BM25 divided by its bound for the query, which a chunk would
/// reach
/// that holds every term without end.
/// </summary>
internal sealed class Retriever(Database database)
{
    /// <summary>
    /// The share of repeated occurrences: a term met k times counts k / (k + this), for a chunk of mean length.
    /// </summary>
    private const double Saturation = 1.2;

    /// <summary>How far a longer chunk than the mean pays for its length.</summary>
    private const double LengthWeight = 0.75;

    /// <summary>Of a longer query the first and the last half of so many terms are searched.</summary>
    private const int TermsMax = 64;

    /// <summary>A chunk's key is the number of its document and, in so many low bits, its index there.</summary>
    private const int PositionBits = 24;
    private const long PositionMask = (1L << PositionBits) - 1;

    // Equal scores in the order of the documents, so that the same search gives the same answer.
    private static readonly Comparer<(double Score, long Key)> BestFirst =
        Comparer<(double Score, long Key)>.Create(static (left, right) =>
            right.Score.CompareTo(left.Score) is var byScore and not 0 ? byScore : left.Key.CompareTo(right.Key));

    /// <summary>
    /// Best first; at most <paramref name="limit"/> chunks with a score of at least <paramref name="minScore"/>.
    /// </summary>
    internal IReadOnlyList<RetrievedChunk> Search(
        TenantContext tenant, string agentId, string query, int limit, double minScore = 0, JsonElement? filter = null)
    {
        var terms = StopWords.Strip(TermReader.TermsOf(query));
        if (terms.Count > TermsMax)
        {
            terms = [.. terms.Take(TermsMax / 2), .. terms.TakeLast(TermsMax / 2)];
        }

        return terms.Count == 0 || limit <= 0 ? [] : database.Read(session =>
            SearchIndexStore.Find(session, tenant, agentId) is { ChunkCount: > 0 } index
                ? Collect(session, tenant, Rank(session, tenant, agentId, index, terms), limit, minScore, filter)
                : []);
    }

    private static PriorityQueue<long, (double Score, long Key)> Rank(
        DbSession session, TenantContext tenant, string agentId, SearchIndex index, List<string> terms)
    {
        // The terms of encrypted documents stand under other names.
        var contentKey = DocumentStore.HasSealed(session, tenant, agentId) ? session.ContentKey(tenant) : null;
        var scores = new Dictionary<long, double>();
        var hits = new List<(long Key, double Part)>();
        var mean = Math.Max(1, index.TermCount / (double)index.ChunkCount);
        var bound = 0.0;
        foreach (var term in terms)
        {
            hits.Clear();
            foreach (var name in contentKey is null ? [term] : (string[])[term, contentKey.Blind(agentId, term)])
            {
                foreach (var postings in SearchIndexStore.Postings(session, index, name))
                {
                    Unpack(postings, mean, hits);
                }
            }

            var idf = Math.Log(1 + ((index.ChunkCount - hits.Count + 0.5) / (hits.Count + 0.5)));
            bound += idf;
            foreach (var (key, part) in hits)
            {
                CollectionsMarshal.GetValueRefOrAddDefault(scores, key, out _) += idf * part;
            }
        }

        return new PriorityQueue<long, (double Score, long Key)>(
            scores.Select(entry => (entry.Key, (entry.Value / bound, entry.Key))), BestFirst);
    }

    private static void Unpack(ReadOnlySpan<byte> postings, double mean, List<(long Key, double Part)> hits)
    {
        while (!postings.IsEmpty)
        {
            var document = PackedPostings.NextDocument(ref postings, out var chunks);
            while (!chunks.IsEmpty)
            {
                var position = PackedPostings.Next(ref chunks);
                var count = PackedPostings.Next(ref chunks);
                var length = PackedPostings.Next(ref chunks);
                var damping = Saturation * (1 - LengthWeight + (LengthWeight * length / mean));
                hits.Add(((document << PositionBits) | position, count / (count + damping)));
            }
        }
    }

    private static List<RetrievedChunk> Collect(DbSession session, TenantContext tenant,
        PriorityQueue<long, (double Score, long Key)> ranked, int limit, double minScore, JsonElement? filter)
    {
        var documents = new Dictionary<long, Document?>();
        var found = new List<RetrievedChunk>();
        while (found.Count < limit && ranked.TryDequeue(out var key, out var rank))
        {
            var score = Math.Round(Math.Clamp(rank.Score, 0, 1), 4);
            if (score < minScore || score <= 0)
            {
                break;
            }

            var number = key >> PositionBits;
            if (!documents.TryGetValue(number, out var document))
            {
                documents.Add(number, document = Fitting(session, tenant, number, filter));
            }

            if (document is not null
                && DocumentStore.ChunkAt(session, tenant, document.Id, (int)(key & PositionMask)) is { } chunk)
            {
                found.Add(new RetrievedChunk
                {
                    Chunk = chunk,
                    Name = document.Name,
                    Score = score,
                    PrivacyClass = document.PrivacyClass,
                });
            }
        }

        return found;
    }

    private static Document? Fitting(DbSession session, TenantContext tenant, long number, JsonElement? filter) =>
        DocumentStore.FindByNumber(session, tenant, number) is { Status: DocumentStatuses.Ready } document
        && (filter is not { } wanted || wanted.EnumerateObject().All(member =>
            document.Metadata.TryGetProperty(member.Name, out var held) && JsonElement.DeepEquals(held, member.Value)))
            ? document
            : null;
}
