using System.Data.Common;
using System.Text.Json;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval.Vectors;
using Reeve.Server.Retrieval.Web;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>The SQL of documents and chunks.</summary>
internal static class DocumentStore
{
    private const string Columns = "id, agent_id, name, mime_type, bytes, sha256, status, error_code, error_message, "
        + "chunk_count, privacy_class, metadata, created_at, updated_at, url, refresh_seconds, etag, last_modified, "
        + "fetched_at, fetch_at";

    internal static bool AgentExists(DbSession session, TenantContext tenant, string agentId) =>
        session.Exists("SELECT 1 FROM agents WHERE id = $1 AND account_id = $2", agentId, tenant.AccountId);

    internal static Document? Find(DbSession session, TenantContext tenant, string id) => session.Single(
        $"SELECT {Columns} FROM documents WHERE id = $1 AND account_id = $2", row => Map(session, row, tenant), id,
        tenant.AccountId);

    internal static Document? FindByHash(DbSession session, TenantContext tenant, string agentId, string sha256) =>
        session.Single($"SELECT {Columns} FROM documents WHERE agent_id = $1 AND sha256 = $2 AND account_id = $3",
            row => Map(session, row, tenant), agentId, sha256, tenant.AccountId);

    /// <summary>Newest first, after the given id.</summary>
    internal static List<Document> List(
        DbSession session, TenantContext tenant, string agentId, string? status, string? after, int limit) =>
        session.List($"SELECT {Columns} FROM documents WHERE account_id = $1 AND agent_id = $2 "
            + "AND ($3 IS NULL OR id < $3) AND ($4 IS NULL OR status = $4) ORDER BY id DESC LIMIT $5",
            row => Map(session, row, tenant), tenant.AccountId, agentId, after, status, limit);

    /// <summary>The strictest class of the agent's ready documents.</summary>
    internal static PrivacyClass StrictestReady(DbSession session, TenantContext tenant, string agentId) =>
        session.List("SELECT DISTINCT privacy_class FROM documents "
            + "WHERE account_id = $1 AND agent_id = $2 AND status = 'ready'",
            static row => PrivacyClasses.Parse(row.GetString(0)), tenant.AccountId, agentId)
        .Aggregate(PrivacyClass.Standard, PrivacyClasses.Stricter);

    internal static bool HasReady(DbSession session, TenantContext tenant, string agentId) => session.Exists(
        "SELECT 1 FROM documents WHERE account_id = $1 AND agent_id = $2 AND status = 'ready' LIMIT 1",
        tenant.AccountId, agentId);

    /// <summary>True when a document of the agent is encrypted.</summary>
    internal static bool HasSealed(DbSession session, TenantContext tenant, string agentId) => session.Exists(
        "SELECT 1 FROM documents WHERE agent_id = $1 AND account_id = $2 AND typeof(name) = 'blob' LIMIT 1",
        agentId, tenant.AccountId);

    internal static long CountOf(DbSession session, TenantContext tenant, string agentId) => session.Count(
        "SELECT COUNT(*) FROM documents WHERE account_id = $1 AND agent_id = $2", tenant.AccountId, agentId);

    /// <summary>The documents of the account that wait to be read or are being read, and their bytes.</summary>
    internal static (long Count, long Bytes) Waiting(DbSession session, TenantContext tenant) => session.Single(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM documents WHERE account_id = $1 AND status = 'processing'",
        static row => (row.GetInt64(0), row.GetInt64(1)), tenant.AccountId);

    /// <summary>Answers the number under which the index knows the document.</summary>
    internal static long Insert(DbSession session, TenantContext tenant, Document document) =>
        session.ExecuteNumber(
            "INSERT INTO documents (id, account_id, agent_id, name, mime_type, bytes, sha256, status, "
            + "error_code, error_message, chunk_count, privacy_class, metadata, created_at, updated_at, url, "
            + "refresh_seconds, etag, last_modified, fetched_at, fetch_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
            + "$10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) RETURNING number",
            document.Id, tenant.AccountId, document.AgentId, Name(session, tenant, document),
            document.MimeType, document.Bytes, document.Sha256, document.Status, document.Error?.Code,
            document.Error?.Message, document.ChunkCount, document.PrivacyClass.Word(),
            Metadata(session, tenant, document), document.CreatedAt.ToUnixTimeMilliseconds(),
            document.UpdatedAt.ToUnixTimeMilliseconds(), document.Page?.Url, document.Page?.RefreshSeconds,
            document.Page?.ETag, document.Page?.LastModified, document.Page?.FetchedAt.ToUnixTimeMilliseconds(),
            document.Page?.FetchAt?.ToUnixTimeMilliseconds())!.Value;

    internal static void Update(DbSession session, TenantContext tenant, Document document) => session.Execute(
        "UPDATE documents SET name = $1, privacy_class = $2, metadata = $3, updated_at = $4 "
        + "WHERE id = $5 AND account_id = $6", Name(session, tenant, document),
        document.PrivacyClass.Word(), Metadata(session, tenant, document), document.UpdatedAt.ToUnixTimeMilliseconds(),
        document.Id, tenant.AccountId);

    /// <summary>What it is now read from, and what came of that.</summary>
    internal static void UpdateContent(DbSession session, TenantContext tenant, Document document) => session.Execute(
        "UPDATE documents SET mime_type = $1, bytes = $2, sha256 = $3, status = $4, error_code = $5, "
        + "error_message = $6, chunk_count = $7, updated_at = $8 WHERE id = $9 AND account_id = $10",
        document.MimeType, document.Bytes, document.Sha256, document.Status, document.Error?.Code,
        document.Error?.Message, document.ChunkCount, document.UpdatedAt.ToUnixTimeMilliseconds(), document.Id,
        tenant.AccountId);

    internal static void UpdatePage(DbSession session, TenantContext tenant, string id, WebPage? page) =>
        session.Execute("UPDATE documents SET url = $1, refresh_seconds = $2, etag = $3, last_modified = $4, "
            + "fetched_at = $5, fetch_at = $6 WHERE id = $7 AND account_id = $8", page?.Url, page?.RefreshSeconds,
            page?.ETag, page?.LastModified, page?.FetchedAt.ToUnixTimeMilliseconds(),
            page?.FetchAt?.ToUnixTimeMilliseconds(), id, tenant.AccountId);

    internal static Document? FindByUrl(DbSession session, TenantContext tenant, string agentId, string url) =>
        session.Single($"SELECT {Columns} FROM documents WHERE agent_id = $1 AND url = $2 AND account_id = $3 LIMIT 1",
            row => Map(session, row, tenant), agentId, url, tenant.AccountId);

    /// <summary>Of each account the document whose page is longest due to be fetched again.</summary>
    internal static List<(TenantContext Tenant, string Id)> DuePages(
        DbSession session, DateTimeOffset now, int limit) => session.List(
        "SELECT account_id, id, MIN(fetch_at) AS due FROM documents WHERE fetch_at <= $1 AND status <> 'processing' "
        + "GROUP BY account_id ORDER BY due LIMIT $2",
        static row => (new TenantContext(row.GetString(0)), row.GetString(1)), now.ToUnixTimeMilliseconds(), limit);

    private static object? Name(DbSession session, TenantContext tenant, Document document) => session.Stored(
        document.IsSealed, tenant, ContentColumns.DocumentName, document.Id, document.Name);

    private static object? Metadata(DbSession session, TenantContext tenant, Document document) => session.Stored(
        document.IsSealed, tenant, ContentColumns.DocumentMetadata, document.Id,
        document.Metadata.GetRawText());

    internal static long? NumberOf(DbSession session, TenantContext tenant, string id) => session.Single(
        "SELECT number FROM documents WHERE id = $1 AND account_id = $2", static row => (long?)row.GetInt64(0), id,
        tenant.AccountId);

    internal static void Delete(DbSession session, TenantContext tenant, string id)
    {
        DeleteContent(session, tenant, id, isGone: true);
        session.Execute("DELETE FROM documents WHERE id = $1 AND account_id = $2", id, tenant.AccountId);
    }

    /// <summary>Its chunks with their vectors, and the file that they are to be read from.</summary>
    internal static void DeleteContent(DbSession session, TenantContext tenant, string id, bool isGone = false)
    {
        VectorStore.Delete(session, tenant, id, isGone);
        session.Execute("DELETE FROM chunks WHERE document_id = $1 AND account_id = $2", id, tenant.AccountId);
        DocumentFileStore.Delete(session, tenant, id);
    }

    internal static void DeleteOfAgent(DbSession session, TenantContext tenant, string agentId)
    {
        VectorStore.DeleteOfAgent(session, tenant, agentId);
        DocumentFileStore.DeleteOfAgent(session, tenant, agentId);
        session.Execute("DELETE FROM chunks WHERE document_id IN "
            + "(SELECT id FROM documents WHERE account_id = $1 AND agent_id = $2)", tenant.AccountId, agentId);
        session.Execute("DELETE FROM documents WHERE account_id = $1 AND agent_id = $2", tenant.AccountId, agentId);
    }

    internal static void InsertChunk(DbSession session, TenantContext tenant, Chunk chunk, bool isSealed) =>
        session.Execute(
        "INSERT INTO chunks (id, document_id, account_id, position, start, stop, page, headings, text) "
        + "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", chunk.Id, chunk.DocumentId, tenant.AccountId, chunk.Index,
        chunk.Start, chunk.End, chunk.Page, Headings(session, tenant, chunk, isSealed),
        Text(session, tenant, chunk, isSealed));

    private static object? Headings(DbSession session, TenantContext tenant, Chunk chunk, bool isSealed) =>
        session.Stored(isSealed, tenant, ContentColumns.ChunkHeadings, chunk.Id,
            JsonSerializer.Serialize(chunk.Headings, RetrievalJson.Default.IReadOnlyListString));

    private static object? Text(DbSession session, TenantContext tenant, Chunk chunk, bool isSealed) =>
        session.Stored(isSealed, tenant, ContentColumns.ChunkText, chunk.Id, chunk.Text);

    /// <summary>Encrypts at most so many of the open chunks of a confidential document; false: none was left.</summary>
    internal static bool SealChunks(DbSession session, TenantContext tenant, string documentId, int limit)
    {
        var chunks = session.List("SELECT id, document_id, position, start, stop, page, headings, text FROM chunks "
            + "WHERE document_id = $1 AND account_id = $2 AND typeof(text) = 'text' LIMIT $3",
            row => MapChunk(session, row, tenant), documentId, tenant.AccountId, limit);
        foreach (var chunk in chunks)
        {
            session.Execute("UPDATE chunks SET headings = $1, text = $2 WHERE id = $3 AND account_id = $4",
                Headings(session, tenant, chunk, isSealed: true), Text(session, tenant, chunk, isSealed: true),
                chunk.Id, tenant.AccountId);
        }

        return chunks.Count > 0;
    }

    internal static bool HasOpenChunks(DbSession session, TenantContext tenant, string documentId) => session.Exists(
        "SELECT 1 FROM chunks WHERE document_id = $1 AND account_id = $2 AND typeof(text) = 'text' LIMIT 1", documentId,
        tenant.AccountId);

    /// <summary>The confidential documents of every account whose chunks are not all encrypted yet.</summary>
    internal static List<(TenantContext Tenant, string Id)> HalfSealed(DbSession session) => session.List(
        "SELECT account_id, id FROM documents WHERE typeof(name) = 'blob' AND EXISTS (SELECT 1 FROM chunks "
        + "WHERE chunks.document_id = documents.id AND typeof(chunks.text) = 'text') ORDER BY number",
        static row => (new TenantContext(row.GetString(0)), row.GetString(1)));

    /// <summary>In the order of the document, after the given position.</summary>
    internal static List<Chunk> Chunks(
        DbSession session, TenantContext tenant, string documentId, int after, int limit) => session.List(
        "SELECT id, document_id, position, start, stop, page, headings, text FROM chunks "
        + "WHERE document_id = $1 AND account_id = $2 AND position > $3 ORDER BY position LIMIT $4",
        row => MapChunk(session, row, tenant), documentId, tenant.AccountId, after, limit);

    internal static Chunk? ChunkAt(DbSession session, TenantContext tenant, string documentId, int position) =>
        session.Single("SELECT id, document_id, position, start, stop, page, headings, text FROM chunks "
            + "WHERE document_id = $1 AND account_id = $2 AND position = $3", row => MapChunk(session, row, tenant),
            documentId, tenant.AccountId, position);

    /// <summary>In the order of the document, those that have no vector.</summary>
    internal static List<Chunk> ChunksWithoutVector(
        DbSession session, TenantContext tenant, string documentId, long number, int limit) => session.List(
        "SELECT id, document_id, position, start, stop, page, headings, text FROM chunks "
        + "WHERE document_id = $1 AND account_id = $2 "
        + "AND NOT EXISTS (SELECT 1 FROM chunk_vectors WHERE key = $3 + position) ORDER BY position LIMIT $4",
        row => MapChunk(session, row, tenant), documentId, tenant.AccountId, ChunkKey.Of(number, 0), limit);

    /// <summary>The place of a chunk in its document, or null when it is none of this one.</summary>
    internal static int? PositionOf(DbSession session, TenantContext tenant, string documentId, string chunkId) =>
        session.Single("SELECT position FROM chunks WHERE id = $1 AND document_id = $2 AND account_id = $3",
            static row => (int?)row.GetInt32(0), chunkId, documentId, tenant.AccountId);

    internal static Document? FindByNumber(DbSession session, TenantContext tenant, long number) => session.Single(
        $"SELECT {Columns} FROM documents WHERE number = $1 AND account_id = $2",
        row => Map(session, row, tenant), number, tenant.AccountId);

    /// <summary>The metadata as JSON; null when there is no such document.</summary>
    internal static string? MetadataOf(DbSession session, TenantContext tenant, long number) => session.Single(
        "SELECT metadata, id FROM documents WHERE number = $1 AND account_id = $2",
        row => session.Text(row, 0, tenant, ContentColumns.DocumentMetadata, row.GetString(1)),
        number, tenant.AccountId);

    private static Document Map(DbSession session, DbDataReader row, TenantContext tenant) => new()
    {
        Id = row.GetString(0),
        AgentId = row.GetString(1),
        Name = session.Text(row, 2, tenant, ContentColumns.DocumentName, row.GetString(0))!,
        MimeType = row.GetString(3),
        Bytes = row.GetInt64(4),
        Sha256 = row.GetString(5),
        Status = row.GetString(6),
        Error = row.StringOrNull(7) is { } code ? new DocumentError(code, row.GetString(8)) : null,
        ChunkCount = row.GetInt32(9),
        PrivacyClass = PrivacyClasses.Parse(row.GetString(10)),
        Metadata = JsonElement.Parse(
            session.Text(row, 11, tenant, ContentColumns.DocumentMetadata, row.GetString(0))!),
        IsSealed = row.GetFieldType(2) == typeof(byte[]),
        CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(12)),
        UpdatedAt = DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(13)),
        Page = row.StringOrNull(14) is not { } url ? null : new WebPage(url)
        {
            RefreshSeconds = (int?)row.LongOrNull(15),
            ETag = row.StringOrNull(16),
            LastModified = row.StringOrNull(17),
            FetchedAt = DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(18)),
            FetchAt = row.LongOrNull(19) is { } due ? DateTimeOffset.FromUnixTimeMilliseconds(due) : null,
        },
    };

    private static Chunk MapChunk(DbSession session, DbDataReader row, TenantContext tenant) => new()
    {
        Id = row.GetString(0),
        DocumentId = row.GetString(1),
        Index = row.GetInt32(2),
        Start = row.GetInt32(3),
        End = row.GetInt32(4),
        Page = (int?)row.LongOrNull(5),
        Headings = JsonSerializer.Deserialize(
            session.Text(row, 6, tenant, ContentColumns.ChunkHeadings, row.GetString(0))!,
            RetrievalJson.Default.IReadOnlyListString)!,
        Text = session.Text(row, 7, tenant, ContentColumns.ChunkText, row.GetString(0))!,
    };
}
