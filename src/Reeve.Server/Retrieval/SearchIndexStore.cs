using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>The size of an agent's index, and the block of documents that is still being filled.</summary>
internal sealed record SearchIndex(
    long Number, long ChunkCount, long TermCount, long OpenBlock, long OpenChunkCount);

/// <summary>The block and the terms under which a document is found.</summary>
internal sealed record SearchEntry(long Block, long TermCount, string Terms)
{
    internal string[] TermList => Terms.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>The SQL of the inverted index.</summary>
internal static class SearchIndexStore
{
    /// <summary>
    /// A block that has so many chunks takes no further document. A search looks for each term in every block, and a
    /// new document makes new pages of half of its block: more of one means less of the other.
    /// </summary>
    private const int BlockChunks = 512;

    /// <summary>The rows of <see cref="AppendMany"/>; half the price of as many statements.</summary>
    private const int TermsAtOnce = 16;

    // Joined by the database: what is there need not be read here first. (|| makes a text of two blobs.)
    private const string Joined = " ON CONFLICT (index_number, block, term) DO UPDATE SET "
        + "postings = CAST(search_postings.postings || excluded.postings AS BLOB)";

    private const string AppendOne = "INSERT INTO search_postings (index_number, block, term, postings) "
        + "VALUES ($1, $2, $3, $4)" + Joined;

    private const string AppendMany = "INSERT INTO search_postings (index_number, block, term, postings) VALUES "
        + "($1, $2, $3, $4), ($1, $2, $5, $6), ($1, $2, $7, $8), ($1, $2, $9, $10), ($1, $2, $11, $12), "
        + "($1, $2, $13, $14), ($1, $2, $15, $16), ($1, $2, $17, $18), ($1, $2, $19, $20), ($1, $2, $21, $22), "
        + "($1, $2, $23, $24), ($1, $2, $25, $26), ($1, $2, $27, $28), ($1, $2, $29, $30), ($1, $2, $31, $32), "
        + "($1, $2, $33, $34)" + Joined;

    internal static SearchIndex? Find(DbSession session, TenantContext tenant, string agentId) => session.Single(
        "SELECT number, chunk_count, term_count, open_block, open_chunk_count FROM search_indexes "
        + "WHERE agent_id = $1 AND account_id = $2",
        static row => new SearchIndex(
            row.GetInt64(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3), row.GetInt64(4)),
        agentId, tenant.AccountId);

    /// <summary>Where a document stands in its agent's index.</summary>
    internal static SearchEntry? Entry(DbSession session, long document) => session.Single(
        "SELECT block, term_count, terms FROM search_documents WHERE document_number = $1",
        static row => new SearchEntry(row.GetInt64(0), row.GetInt64(1), row.GetString(2)), document);

    internal static void Add(
        DbSession session, TenantContext tenant, string agentId, long document, int chunkCount, DocumentPostings added)
    {
        var index = Find(session, tenant, agentId) ?? Insert(session, tenant, agentId);
        var full = index.OpenChunkCount + chunkCount > BlockChunks && index.OpenChunkCount > 0;
        var block = full ? index.OpenBlock + 1 : index.OpenBlock;
        var held = full ? 0 : index.OpenChunkCount;
        var terms = added.Terms;
        var next = 0;
        for (var values = new object?[2 + (2 * TermsAtOnce)]; next + TermsAtOnce <= terms.Count;)
        {
            (values[0], values[1]) = (index.Number, block);
            for (var i = 2; i < values.Length; i += 2)
            {
                values[i] = terms[next].Term;
                values[i + 1] = PackedPostings.Of(document, terms[next++]);
            }

            session.Execute(AppendMany, values);
        }

        for (; next < terms.Count; next++)
        {
            session.Execute(AppendOne, index.Number, block, terms[next].Term,
                PackedPostings.Of(document, terms[next]));
        }

        session.Execute("INSERT INTO search_documents (document_number, block, term_count, terms) "
            + "VALUES ($1, $2, $3, $4)", document, block, added.TermCount, added.TermList());
        session.Execute("UPDATE search_indexes SET chunk_count = chunk_count + $1, term_count = term_count + $2, "
            + "open_block = $3, open_chunk_count = $4 WHERE number = $5", chunkCount, added.TermCount, block,
            held + chunkCount, index.Number);
    }

    internal static void Remove(
        DbSession session, TenantContext tenant, string agentId, long document, int chunkCount)
    {
        if (Entry(session, document) is not { } held || Find(session, tenant, agentId) is not { } index)
        {
            return;
        }

        foreach (var term in held.TermList)
        {
            WriteOrDelete(session, index.Number, term, held.Block,
                PackedPostings.Without(document, PostingsAt(session, index.Number, term, held.Block)));
        }

        session.Execute("DELETE FROM search_documents WHERE document_number = $1", document);
        session.Execute("UPDATE search_indexes SET chunk_count = chunk_count - $1, term_count = term_count - $2, "
            + "open_chunk_count = open_chunk_count - $3 WHERE number = $4", chunkCount, held.TermCount,
            held.Block == index.OpenBlock ? chunkCount : 0, index.Number);
    }

    /// <summary>Hides at most so many open terms of a confidential document; false: none was left.</summary>
    internal static bool Blind(DbSession session, TenantContext tenant, string agentId, long document, int limit)
    {
        if (Entry(session, document) is not { } held || Find(session, tenant, agentId) is not { } index)
        {
            return false;
        }

        var terms = held.TermList.ToLookup(ContentKey.IsBlinded);
        var key = session.ContentKey(tenant);
        var after = terms[true].Concat(terms[false].Skip(limit)).ToList();
        foreach (var term in terms[false].Take(limit))
        {
            var packed = PostingsAt(session, index.Number, term, held.Block);
            var own = PackedPostings.Only(document, packed);
            var hidden = key.Blind(agentId, term);
            var others = PostingsAt(session, index.Number, hidden, held.Block) ?? [];
            Write(session, index.Number, hidden, held.Block, [.. others, .. own]);
            WriteOrDelete(session, index.Number, term, held.Block, PackedPostings.Without(document, packed));
            after.Add(hidden);
        }

        if (!terms[false].Any())
        {
            return false;
        }

        after.Sort(StringComparer.Ordinal);
        session.Execute("UPDATE search_documents SET terms = $1 WHERE document_number = $2",
            string.Concat(after.Select(static term => term + '\n')), document);
        return true;
    }

    /// <summary>Must come before the agent's documents are deleted.</summary>
    internal static void RemoveAgent(DbSession session, TenantContext tenant, string agentId)
    {
        if (Find(session, tenant, agentId) is not { } index)
        {
            return;
        }

        session.Execute("DELETE FROM search_postings WHERE index_number = $1", index.Number);
        session.Execute("DELETE FROM search_documents WHERE document_number IN "
            + "(SELECT number FROM documents WHERE account_id = $1 AND agent_id = $2)", tenant.AccountId, agentId);
        session.Execute("DELETE FROM search_indexes WHERE number = $1", index.Number);
    }

    private static SearchIndex Insert(DbSession session, TenantContext tenant, string agentId)
    {
        var number = session.ExecuteNumber(
            "INSERT INTO search_indexes (account_id, agent_id, chunk_count, term_count, "
            + "open_block, open_chunk_count) VALUES ($1, $2, 0, 0, 0, 0) RETURNING number", tenant.AccountId, agentId);
        return new SearchIndex(number!.Value, 0, 0, 0, 0);
    }

    /// <summary>The postings of a term in a block; null when it has none there.</summary>
    internal static byte[]? PostingsAt(DbSession session, long index, string term, long block) => session.Bytes(
        "SELECT postings FROM search_postings WHERE index_number = $1 AND term = $2 AND block = $3",
        index, term, block);

    private static void WriteOrDelete(DbSession session, long index, string term, long block, byte[] postings)
    {
        if (postings.Length > 0)
        {
            Write(session, index, term, block, postings);
        }
        else
        {
            session.Execute("DELETE FROM search_postings WHERE index_number = $1 AND term = $2 AND block = $3",
                index, term, block);
        }
    }

    private static void Write(DbSession session, long index, string term, long block, byte[] postings) =>
        session.Execute("INSERT INTO search_postings (index_number, term, block, postings) VALUES ($1, $2, $3, $4) "
            + "ON CONFLICT (index_number, block, term) DO UPDATE SET postings = excluded.postings", index, term, block,
            postings);
}
