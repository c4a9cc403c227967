using System.Text.Json;
using Reeve.Server.Inference.Providers.Builtin;
using Reeve.Server.Retrieval.Vectors;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// Search over the chunks of one agent. By words: stop words left out of the query, the other terms stemmed and ranked
/// by <see cref="ChunkRanker"/> with statistics of that agent's chunks alone. By meaning as well, where vectors are
/// configured: the best of both are scored anew by both (<see cref="Fusion"/>).
/// </summary>
internal sealed class Retriever(Database database, VectorSearch? vectors = null)
{
    /// <summary>Of a longer query the first and the last half of so many terms are searched.</summary>
    private const int TermsMax = 64;

    /// <summary>Where copies leave places free, among so many of the best chunks others are looked for.</summary>
    private const int CandidatesMax = 1_000;

    /// <summary>Of each kind so many more of the best as are ranked are scored by both, and so many at least.</summary>
    private const int CandidatesOfOne = 2;
    private const int CandidatesMin = 40;

    /// <summary>The share of meaning in a score; the benchmark that measured it sets others.</summary>
    internal double NearnessShare { get; set; } = Fusion.NearnessShare;

    /// <summary>
    /// Best first; at most <paramref name="limit"/> chunks with a score of at least <paramref name="minScore"/>. What
    /// says only what a better chunk says is left out; of equals the one of the older document stays.
    /// </summary>
    internal async Task<IReadOnlyList<RetrievedChunk>> SearchAsync(TenantContext tenant, string agentId,
        Question question, int limit, CancellationToken cancellationToken, double minScore = 0,
        JsonElement? filter = null)
    {
        var vector = vectors is null || limit <= 0
            ? null
            : await vectors.ReadAsync(tenant, agentId, question, cancellationToken);
        return Search(tenant, agentId, question.Text, limit, minScore, filter, vector);
    }

    /// <summary>The same by words alone, or with the vector of the query.</summary>
    internal IReadOnlyList<RetrievedChunk> Search(TenantContext tenant, string agentId, string query, int limit,
        double minScore = 0, JsonElement? filter = null, float[]? vector = null)
    {
        var terms = StopWords.Strip(TermReader.TermsOf(query));
        if (terms.Count > TermsMax)
        {
            terms = [.. terms.Take(TermsMax / 2), .. terms.TakeLast(TermsMax / 2)];
        }

        return limit <= 0 || (terms.Count == 0 && vector is null) ? [] : database.Read(session =>
        {
            if (SearchIndexStore.Find(session, tenant, agentId) is not { ChunkCount: > 0 } index)
            {
                return [];
            }

            var ranker = terms.Count == 0
                ? null : new ChunkRanker(session, index, Names(session, tenant, agentId, terms));
            Predicate<long>? fits = filter is { } wanted ? new MetadataFilter(session, tenant, wanted).Fits : null;
            for (var count = 2 * limit; ; count *= 4)
            {
                var ranked = (vector is null
                    ? null : RankByBoth(session, tenant, agentId, index, ranker, vector, count, fits))
                    ?? ranker?.Best(count, fits) ?? [];
                var found = Collect(session, tenant, agentId, ranked, limit, minScore);
                if (found.Count == limit || ranked.Count < count || count >= CandidatesMax
                    || ranked[^1].Score < minScore)
                {
                    return found;
                }
            }
        });
    }

    /// <summary>The terms of encrypted documents stand under other names.</summary>
    private static List<string[]> Names(DbSession session, TenantContext tenant, string agentId, List<string> terms)
    {
        var key = DocumentStore.HasSealed(session, tenant, agentId) ? session.ContentKey(tenant) : null;
        return terms.ConvertAll(term => key is null ? [term] : (string[])[term, key.Blind(agentId, term)]);
    }

    /// <summary>Null when the vectors cannot be read.</summary>
    private List<RankedChunk>? RankByBoth(DbSession session, TenantContext tenant, string agentId, SearchIndex index,
        ChunkRanker? ranker, float[] vector, int count, Predicate<long>? fits)
    {
        var candidates = Math.Max(CandidatesMin, CandidatesOfOne * count);
        if (vectors!.Nearest(session, tenant, agentId, index, vector, candidates, fits) is not { } near)
        {
            return null;
        }

        var words = near.ToDictionary(static key => key, static _ => 0.0);
        foreach (var chunk in ranker?.Best(candidates, fits, words) ?? [])
        {
            words[ChunkKey.Of(chunk.Document, chunk.Index)] = chunk.Score;
        }

        return [.. words
            .Select(pair => (pair.Key, Score: Fusion.Score(
                pair.Value, vectors.NearnessOf(session, tenant, agentId, pair.Key, vector), NearnessShare)))
            .Where(static one => one.Score > 0)
            .OrderByDescending(static one => one.Score).ThenBy(static one => one.Key).Take(count)
            .Select(static one => new RankedChunk(ChunkKey.Document(one.Key), ChunkKey.Index(one.Key), one.Score))];
    }

    private static List<RetrievedChunk> Collect(DbSession session, TenantContext tenant, string agentId,
        List<RankedChunk> ranked, int limit, double minScore)
    {
        var documents = new Dictionary<long, Document?>();
        var shown = new ShownChunks();
        var found = new List<RetrievedChunk>();
        foreach (var chunk in ranked)
        {
            var score = Math.Round(chunk.Score, 4);
            if (score < minScore || score <= 0 || found.Count == limit)
            {
                break;
            }

            if (!documents.TryGetValue(chunk.Document, out var document))
            {
                document = DocumentStore.FindByNumber(session, tenant, chunk.Document);
                documents.Add(chunk.Document, document is { Status: DocumentStatuses.Ready } ? document : null);
            }

            if (document is { Status: DocumentStatuses.Ready } && document.AgentId == agentId
                && DocumentStore.ChunkAt(session, tenant, document.Id, chunk.Index) is { } text
                && shown.Add(text))
            {
                found.Add(new RetrievedChunk
                {
                    Chunk = text,
                    Name = document.Name,
                    Score = score,
                    PrivacyClass = document.PrivacyClass,
                });
            }
        }

        return found;
    }
}
