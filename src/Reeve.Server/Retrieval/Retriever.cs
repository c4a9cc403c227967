using System.Text.Json;
using Reeve.Server.Inference.Providers.Builtin;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// Lexical search over the chunks of one agent: stop words left out of the query, the other terms stemmed and ranked by
/// <see cref="ChunkRanker"/> with statistics of that agent's chunks alone.
/// </summary>
internal sealed class Retriever(Database database)
{
    /// <summary>Of a longer query the first and the last half of so many terms are searched.</summary>
    private const int TermsMax = 64;

    /// <summary>Where copies leave places free, among so many of the best chunks others are looked for.</summary>
    private const int CandidatesMax = 1_000;

    /// <summary>
    /// Best first; at most <paramref name="limit"/> chunks with a score of at least <paramref name="minScore"/>. What
    /// says only what a better chunk says is left out; of equals the one of the older document stays.
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
                ? Search(session, tenant, new ChunkRanker(session, index, Names(session, tenant, agentId, terms)),
                    limit, minScore, filter)
                : []);
    }

    /// <summary>The terms of encrypted documents stand under other names.</summary>
    private static List<string[]> Names(DbSession session, TenantContext tenant, string agentId, List<string> terms)
    {
        var key = DocumentStore.HasSealed(session, tenant, agentId) ? session.ContentKey(tenant) : null;
        return terms.ConvertAll(term => key is null ? [term] : (string[])[term, key.Blind(agentId, term)]);
    }

    private static List<RetrievedChunk> Search(DbSession session, TenantContext tenant, ChunkRanker ranker, int limit,
        double minScore, JsonElement? filter)
    {
        var fits = filter is { } wanted ? new MetadataFilter(session, tenant, wanted) : null;
        for (var count = 2 * limit; ; count *= 4)
        {
            var ranked = ranker.Best(count, fits is null ? null : fits.Fits);
            var found = Collect(session, tenant, ranked, limit, minScore);
            if (found.Count == limit || ranked.Count < count || count >= CandidatesMax || ranked[^1].Score < minScore)
            {
                return found;
            }
        }
    }

    private static List<RetrievedChunk> Collect(
        DbSession session, TenantContext tenant, List<RankedChunk> ranked, int limit, double minScore)
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

            if (document is { Status: DocumentStatuses.Ready }
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
