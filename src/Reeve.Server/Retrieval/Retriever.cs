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
        return Collect(session, tenant, ranker.Best(limit, fits is null ? null : fits.Fits), minScore);
    }

    private static List<RetrievedChunk> Collect(
        DbSession session, TenantContext tenant, List<RankedChunk> ranked, double minScore)
    {
        var documents = new Dictionary<long, Document?>();
        var found = new List<RetrievedChunk>();
        foreach (var chunk in ranked)
        {
            var score = Math.Round(chunk.Score, 4);
            if (score < minScore || score <= 0)
            {
                break;
            }

            if (!documents.TryGetValue(chunk.Document, out var document))
            {
                document = DocumentStore.FindByNumber(session, tenant, chunk.Document);
                documents.Add(chunk.Document, document is { Status: DocumentStatuses.Ready } ? document : null);
            }

            if (document is { Status: DocumentStatuses.Ready }
                && DocumentStore.ChunkAt(session, tenant, document.Id, chunk.Index) is { } text)
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
