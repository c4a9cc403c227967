using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// Holds the chunks of documents against the index that was made of them. It tells of every changed word; a changed
/// sign or letter case is in no index.
/// </summary>
internal static class DocumentCheck
{
    private const int PageDocuments = 100;

    /// <summary>What is wrong with documents, each with its id.</summary>
    internal static IEnumerable<(string Id, string Problem)> Problems(DbSession session)
    {
        List<DocumentRow> page;
        for (var after = long.MinValue; (page = Page(session, after)).Count > 0; after = page[^1].Number)
        {
            foreach (var document in page)
            {
                if (Problem(session, document) is { } problem)
                {
                    yield return (document.Id, problem);
                }
            }
        }
    }

    private static List<DocumentRow> Page(DbSession session, long after) => session.List(
        "SELECT number, id, account_id, agent_id, chunk_count, typeof(name) = 'blob' FROM documents "
        + "WHERE number > $1 AND status = 'ready' ORDER BY number LIMIT $2",
        static row => new DocumentRow(
            row.GetInt64(0), row.GetString(1), new TenantContext(row.GetString(2)), row.GetString(3), row.GetInt64(4),
            row.GetBoolean(5)),
        after, PageDocuments);

    private static string? Problem(DbSession session, DocumentRow document)
    {
        if (document.IsSealed && session.Keys is null)
        {
            return null; // Nobody can read it here.
        }

        try
        {
            var chunks = DocumentStore.Chunks(session, document.Tenant, document.Id, -1, int.MaxValue);
            return IsWhole(document, chunks)
                ? IndexProblem(session, document, chunks)
                : "its chunks are not what they were";
        }
        catch (Exception error) when (error is not Microsoft.Data.Sqlite.SqliteException)
        {
            return $"it cannot be read: {error.Message}"; // A damaged row may be anything.
        }
    }

    private static bool IsWhole(DocumentRow document, List<Chunk> chunks)
    {
        var end = 0;
        for (var index = 0; index < chunks.Count; index++)
        {
            var chunk = chunks[index];
            if (chunk.Index != index || chunk.Start != end
                || chunk.End != end + RequestObject.ScalarCount(chunk.Text))
            {
                return false;
            }

            end = chunk.End;
        }

        return chunks.Count == document.ChunkCount;
    }

    private static string? IndexProblem(DbSession session, DocumentRow document, List<Chunk> chunks)
    {
        if (SearchIndexStore.Find(session, document.Tenant, document.AgentId) is not { } index
            || SearchIndexStore.Entry(session, document.Number) is not { } entry)
        {
            return "it is not indexed";
        }

        var expected = DocumentPostings.Of(chunks.Select(static chunk => (chunk.Text, chunk.Headings)));
        var terms = SearchIndexStore.Terms(session, document.Number);
        if (entry.TermCount != expected.TermCount || terms.Count != expected.Terms.Count)
        {
            return "its index is not what it was";
        }

        // Of one that became confidential some terms may not be blinded yet.
        var key = document.IsSealed ? session.ContentKey(document.Tenant) : null;
        var names = terms.ToHashSet(StringComparer.Ordinal);
        foreach (var posting in expected.Terms)
        {
            var hidden = key?.Blind(document.AgentId, posting.Term);
            var isHidden = hidden is not null && names.Contains(hidden);
            var name = isHidden ? hidden! : posting.Term;
            var held = PackedPostings.Of(document.Number, isHidden ? PackedPostings.Unplaced(posting) : posting);
            if (!names.Contains(name) || !PackedPostings.Has(
                SearchIndexStore.PostingsAt(session, index.Number, name, entry.Block), document.Number, held))
            {
                return "its chunks have words that its index has not, or elsewhere";
            }
        }

        return null;
    }

    private sealed record DocumentRow(long Number, string Id, TenantContext Tenant, string AgentId, long ChunkCount,
        bool IsSealed);
}
