using System.Text;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>The size of an agent's index, and the block of documents that is being filled.</summary>
internal sealed record SearchIndex(long Number, long ChunkCount, long TermCount, long OpenBlock)
{
    /// <summary>Grows with each change of the agent's vectors; 0: it has none.</summary>
    internal long VectorVersion { get; init; }

    /// <summary>Grows when a document that had vectors is deleted.</summary>
    internal long VectorRemovals { get; init; }
}

/// <summary>Where a document stands in its index.</summary>
internal sealed record SearchEntry(long Block, long TermCount);

/// <summary>The SQL of the inverted index.</summary>
internal static class SearchIndexStore
{
    /// <summary>
    /// A block that has so many chunks takes no further document. A search looks for each term in every block, and a
    /// new document makes new pages of half of its block: more of one means less of the other.
    /// </summary>
    private const int BlockChunks = 512;

    /// <summary>The terms of a document are kept in parts of so many, each the work of one step.</summary>
    internal const int TermsAPart = 1_000;

    /// <summary>The rows of <see cref="AppendMany"/>; half the price of as many statements.</summary>
    private const int TermsAtOnce = 16;

    // Joined by the database: what is there need not be read here first. (|| makes a text of two blobs.)
    private const string OnConflict = " ON CONFLICT (index_number, block, term) DO UPDATE SET "
        + "postings = CAST(search_postings.postings || excluded.postings AS BLOB)";

    private const string AppendOne = "INSERT INTO search_postings (index_number, block, term, postings) "
        + "VALUES ($1, $2, $3, $4)" + OnConflict;

    private const string AppendMany = "INSERT INTO search_postings (index_number, block, term, postings) VALUES "
        + "($1, $2, $3, $4), ($1, $2, $5, $6), ($1, $2, $7, $8), ($1, $2, $9, $10), ($1, $2, $11, $12), "
        + "($1, $2, $13, $14), ($1, $2, $15, $16), ($1, $2, $17, $18), ($1, $2, $19, $20), ($1, $2, $21, $22), "
        + "($1, $2, $23, $24), ($1, $2, $25, $26), ($1, $2, $27, $28), ($1, $2, $29, $30), ($1, $2, $31, $32), "
        + "($1, $2, $33, $34)" + OnConflict;

    internal static SearchIndex? Find(DbSession session, TenantContext tenant, string agentId) => session.Single(
        "SELECT number, chunk_count, term_count, open_block, vector_version, vector_removals FROM search_indexes "
        + "WHERE agent_id = $1 AND account_id = $2",
        static row => new SearchIndex(row.GetInt64(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3))
        {
            VectorVersion = row.GetInt64(4),
            VectorRemovals = row.GetInt64(5),
        },
        agentId, tenant.AccountId);

    /// <summary>The blocks that have documents.</summary>
    internal static List<long> Blocks(DbSession session, long index) => session.List(
        "SELECT block FROM search_blocks WHERE index_number = $1 ORDER BY block", static row => row.GetInt64(0), index);

    /// <summary>Where a document stands in its agent's index.</summary>
    internal static SearchEntry? Entry(DbSession session, long document) => session.Single(
        "SELECT block, term_count FROM search_documents WHERE document_number = $1",
        static row => new SearchEntry(row.GetInt64(0), row.GetInt64(1)), document);

    /// <summary>The names under which a document's terms stand in the index.</summary>
    internal static List<string> Terms(DbSession session, long document) => [.. session.List(
        "SELECT terms FROM search_terms WHERE document_number = $1 ORDER BY part",
        static row => row.GetString(0), document).SelectMany(Split)];

    internal static void Add(
        DbSession session, TenantContext tenant, string agentId, long document, int chunkCount, DocumentPostings added)
    {
        var index = Find(session, tenant, agentId) ?? Insert(session, tenant, agentId);
        var block = BlockFor(session, index, chunkCount);
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

        session.Execute("INSERT INTO search_documents (document_number, block, term_count) VALUES ($1, $2, $3)",
            document, block, added.TermCount);
        for (var part = 0; part * TermsAPart < terms.Count; part++)
        {
            session.Execute("INSERT INTO search_terms (document_number, part, terms) VALUES ($1, $2, $3)", document,
                part, Joined(terms.Skip(part * TermsAPart).Take(TermsAPart).Select(static posting => posting.Term)));
        }

        session.Execute("INSERT INTO search_blocks (index_number, block, chunk_count) VALUES ($1, $2, $3) "
            + "ON CONFLICT (index_number, block) DO UPDATE SET chunk_count = search_blocks.chunk_count "
            + "+ excluded.chunk_count", index.Number, block, chunkCount);
        session.Execute("UPDATE search_indexes SET chunk_count = chunk_count + $1, term_count = term_count + $2, "
            + "open_block = $3 WHERE number = $4", chunkCount, added.TermCount, block, index.Number);
    }

    /// <summary>
    /// The block that is being filled while it has room, then the emptiest that lost half of its chunks or more, then a
    /// new one: so that there are never many more blocks than the chunks need, whatever came and went.
    /// </summary>
    private static long BlockFor(DbSession session, SearchIndex index, int chunkCount)
    {
        var held = session.Count("SELECT chunk_count FROM search_blocks WHERE index_number = $1 AND block = $2",
            index.Number, index.OpenBlock);
        return held == 0 || held + chunkCount <= BlockChunks ? index.OpenBlock
            : session.Single("SELECT block FROM search_blocks WHERE index_number = $1 AND chunk_count <= $2 "
                + "ORDER BY chunk_count, block LIMIT 1", static row => (long?)row.GetInt64(0), index.Number,
                Math.Min(BlockChunks / 2, BlockChunks - chunkCount))
            ?? session.Count("SELECT max(block) + 1 FROM search_blocks WHERE index_number = $1", index.Number);
    }

    internal static void Remove(
        DbSession session, TenantContext tenant, string agentId, long document, int chunkCount)
    {
        if (Entry(session, document) is not { } held || Find(session, tenant, agentId) is not { } index)
        {
            return;
        }

        foreach (var term in Terms(session, document))
        {
            WriteOrDelete(session, index.Number, term, held.Block,
                PackedPostings.Without(document, PostingsAt(session, index.Number, term, held.Block)));
        }

        session.Execute("DELETE FROM search_terms WHERE document_number = $1", document);
        session.Execute("DELETE FROM search_documents WHERE document_number = $1", document);
        session.Execute("UPDATE search_blocks SET chunk_count = chunk_count - $1 "
            + "WHERE index_number = $2 AND block = $3", chunkCount, index.Number, held.Block);
        session.Execute("DELETE FROM search_blocks WHERE index_number = $1 AND block = $2 AND chunk_count = 0",
            index.Number, held.Block);
        session.Execute("UPDATE search_indexes SET chunk_count = chunk_count - $1, term_count = term_count - $2 "
            + "WHERE number = $3", chunkCount, held.TermCount, index.Number);
    }

    /// <summary>
    /// Hides the open terms of one part of a confidential document, the first being 0; false: it has no such part.
    /// </summary>
    internal static bool Blind(DbSession session, TenantContext tenant, string agentId, long document, int part)
    {
        if (Entry(session, document) is not { } held || Find(session, tenant, agentId) is not { } index
            || session.Single("SELECT terms FROM search_terms WHERE document_number = $1 AND part = $2",
                static row => row.GetString(0), document, part) is not { } terms)
        {
            return false;
        }

        var key = session.ContentKey(tenant);
        var hidden = Joined(Split(terms).Select(term => ContentKey.IsBlinded(term)
            ? term : Blind(session, index.Number, held.Block, document, term, key.Blind(agentId, term))));
        if (hidden != terms)
        {
            session.Execute("UPDATE search_terms SET terms = $1 WHERE document_number = $2 AND part = $3", hidden,
                document, part);
        }

        return true;
    }

    private static string Blind(DbSession session, long index, long block, long document, string term, string hidden)
    {
        var packed = PostingsAt(session, index, term, block);
        var others = PostingsAt(session, index, hidden, block) ?? [];
        Write(session, index, hidden, block, [.. others, .. PackedPostings.Only(document, packed)]);
        WriteOrDelete(session, index, term, block, PackedPostings.Without(document, packed));
        return hidden;
    }

    private static string Joined(IEnumerable<string> terms)
    {
        var text = new StringBuilder();
        foreach (var term in terms)
        {
            text.Append(term).Append('\n');
        }

        return text.ToString();
    }

    private static string[] Split(string terms) => terms.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Must come before the agent's documents are deleted.</summary>
    internal static void RemoveAgent(DbSession session, TenantContext tenant, string agentId)
    {
        if (Find(session, tenant, agentId) is not { } index)
        {
            return;
        }

        session.Execute("DELETE FROM search_postings WHERE index_number = $1", index.Number);
        session.Execute("DELETE FROM search_blocks WHERE index_number = $1", index.Number);
        session.Execute("DELETE FROM search_terms WHERE document_number IN "
            + "(SELECT number FROM documents WHERE account_id = $1 AND agent_id = $2)", tenant.AccountId, agentId);
        session.Execute("DELETE FROM search_documents WHERE document_number IN "
            + "(SELECT number FROM documents WHERE account_id = $1 AND agent_id = $2)", tenant.AccountId, agentId);
        session.Execute("DELETE FROM search_indexes WHERE number = $1", index.Number);
    }

    private static SearchIndex Insert(DbSession session, TenantContext tenant, string agentId)
    {
        var number = session.ExecuteNumber(
            "INSERT INTO search_indexes (account_id, agent_id, chunk_count, term_count, open_block) "
            + "VALUES ($1, $2, 0, 0, 0) RETURNING number", tenant.AccountId, agentId);
        return new SearchIndex(number!.Value, 0, 0, 0);
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
