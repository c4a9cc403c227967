using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// Makes the indexes of all agents from their chunks, where a migration asked for it. Part of the transaction of a
/// start: one that is broken off begins again at the next.
/// </summary>
internal static class SearchIndexRebuild
{
    private const int PageDocuments = 100;

    internal static void Prepare(DbSession session)
    {
        if (session.Execute("DELETE FROM settings WHERE name = 'search_rebuild'") == 0)
        {
            return;
        }

        List<DocumentRow> page;
        for (var after = long.MinValue; (page = Page(session, after)).Count > 0; after = page[^1].Number)
        {
            foreach (var document in page)
            {
                Index(session, document);
            }
        }
    }

    private static void Index(DbSession session, DocumentRow document)
    {
        if (Read(session, document) is var (count, postings))
        {
            SearchIndexStore.Add(session, document.Tenant, document.AgentId, document.Number, count, postings);
        }
    }

    /// <summary>
    /// Null: it is damaged. It is found by nobody then, <c>reeve verify</c> names it, and others go on.
    /// </summary>
    private static (int Count, DocumentPostings Postings)? Read(DbSession session, DocumentRow document)
    {
        try
        {
            var chunks = DocumentStore.Chunks(session, document.Tenant, document.Id, -1, int.MaxValue);
            var postings = DocumentPostings.Of(chunks.Select(static chunk => (chunk.Text, chunk.Headings)));
            return (chunks.Count, document.IsSealed
                ? postings.Blinded(session.ContentKey(document.Tenant), document.AgentId) : postings);
        }
        catch (Exception error) when (error is not Microsoft.Data.Sqlite.SqliteException)
        {
            return null; // A damaged row may be anything.
        }
    }

    private static List<DocumentRow> Page(DbSession session, long after) => session.List(
        "SELECT number, id, account_id, agent_id, typeof(name) = 'blob' FROM documents "
        + "WHERE number > $1 AND status = 'ready' ORDER BY number LIMIT $2",
        static row => new DocumentRow(row.GetInt64(0), row.GetString(1), new TenantContext(row.GetString(2)),
            row.GetString(3), row.GetBoolean(4)),
        after, PageDocuments);

    private sealed record DocumentRow(long Number, string Id, TenantContext Tenant, string AgentId, bool IsSealed);
}
