using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval.Vectors;

/// <summary>A ready document of which chunks have no vector yet.</summary>
internal sealed record UnembeddedDocument(
    long Number, string Id, TenantContext Tenant, string AgentId, PrivacyClass PrivacyClass);

/// <summary>
/// The SQL of vectors. One that lies open is the byte 0 and its numbers, four bytes each, little-endian; one of an
/// encrypted document begins with the byte 1, as <see cref="ContentKey"/> says.
/// </summary>
internal static class VectorStore
{
    private const string ModelSetting = "vector_model";
    private const string ScaleSetting = "vector_scale";

    /// <summary>
    /// Makes all vectors those of a model, which at its first start there are none of; answers its scale, null while
    /// that is not known.
    /// </summary>
    internal static NearnessScale? Prepare(DbSession session, string model)
    {
        if (Setting(session, ModelSetting) != model)
        {
            session.Execute("DELETE FROM chunk_vectors");
            session.Execute("UPDATE documents SET is_embedded = 0, vector_version = NULL "
                + "WHERE is_embedded <> 0 OR vector_version IS NOT NULL");
            session.Execute("UPDATE search_indexes SET vector_version = 0 WHERE vector_version <> 0");
            session.Execute("DELETE FROM settings WHERE name = $1", ScaleSetting);
            Set(session, ModelSetting, model);
        }

        return Setting(session, ScaleSetting)?.Split(' ') is [var floor, var top]
            ? new NearnessScale(
                double.Parse(floor, CultureInfo.InvariantCulture), double.Parse(top, CultureInfo.InvariantCulture))
            : null;
    }

    internal static void SetScale(DbSession session, NearnessScale scale) => Set(
        session, ScaleSetting, string.Create(CultureInfo.InvariantCulture, $"{scale.Floor:R} {scale.Top:R}"));

    /// <summary>Of a class, in their order, after the given number.</summary>
    internal static List<UnembeddedDocument> Waiting(
        DbSession session, PrivacyClass privacyClass, long after, int limit) => session.List(
        "SELECT number, id, account_id, agent_id FROM documents WHERE status = 'ready' AND is_embedded = 0 "
        + "AND privacy_class = $1 AND number > $2 ORDER BY number LIMIT $3",
        row => new UnembeddedDocument(row.GetInt64(0), row.GetString(1), new TenantContext(row.GetString(2)),
            row.GetString(3), privacyClass),
        privacyClass.Word(), after, limit);

    /// <summary>
    /// Adds the vectors of chunks, if the document still has these chunks, and notes when it has all; false: it has
    /// changed.
    /// </summary>
    internal static bool Put(
        DbSession session, UnembeddedDocument made, IEnumerable<(Chunk Chunk, float[] Vector)> vectors)
    {
        if (DocumentStore.FindByNumber(session, made.Tenant, made.Number) is not
            { Status: DocumentStatuses.Ready } document || document.Id != made.Id)
        {
            return false;
        }

        var added = 0;
        foreach (var (chunk, vector) in vectors)
        {
            var key = ChunkKey.Of(made.Number, chunk.Index);
            added += session.Execute("INSERT INTO chunk_vectors (key, vector) SELECT $1, $2 WHERE EXISTS "
                + "(SELECT 1 FROM chunks WHERE id = $3 AND document_id = $4 AND account_id = $5 AND position = $6) "
                + "ON CONFLICT (key) DO NOTHING", key, Pack(session, made.Tenant, document.IsSealed, key, vector),
                chunk.Id, made.Id, made.Tenant.AccountId, chunk.Index);
        }

        if (added > 0)
        {
            Touch(session, made.Tenant, made.AgentId, made.Number);
        }

        if (DocumentStore.ChunksWithoutVector(session, made.Tenant, made.Id, made.Number, 1).Count == 0)
        {
            session.Execute("UPDATE documents SET is_embedded = 1 WHERE number = $1 AND account_id = $2",
                made.Number, made.Tenant.AccountId);
        }

        return added > 0;
    }

    /// <summary>Deletes the vectors of a document; with <paramref name="isGone"/>, that will be deleted too.</summary>
    internal static void Delete(DbSession session, TenantContext tenant, string documentId, bool isGone = false)
    {
        if (session.Single("SELECT number, agent_id FROM documents WHERE id = $1 AND account_id = $2",
            static row => new { Number = row.GetInt64(0), AgentId = row.GetString(1) }, documentId, tenant.AccountId)
            is not { } document)
        {
            return;
        }

        if (DeleteRows(session, document.Number) > 0)
        {
            Touch(session, tenant, document.AgentId, document.Number);
            session.Execute("UPDATE search_indexes SET vector_removals = vector_removals + $1 "
                + "WHERE agent_id = $2 AND account_id = $3", isGone ? 1 : 0, document.AgentId, tenant.AccountId);
        }

        session.Execute("UPDATE documents SET is_embedded = 0 WHERE number = $1 AND account_id = $2 "
            + "AND is_embedded <> 0", document.Number, tenant.AccountId);
    }

    /// <summary>Must come before the agent's documents and chunks are deleted.</summary>
    internal static void DeleteOfAgent(DbSession session, TenantContext tenant, string agentId) => session.Execute(
        "DELETE FROM chunk_vectors WHERE key IN (SELECT (d.number << 24) + c.position FROM documents d "
        + "JOIN chunks c ON c.document_id = d.id WHERE d.account_id = $1 AND d.agent_id = $2)", tenant.AccountId,
        agentId);

    /// <summary>The documents of an agent that have, or had, vectors.</summary>
    internal static List<long> Documents(DbSession session, TenantContext tenant, string agentId) => session.List(
        "SELECT number FROM documents WHERE account_id = $1 AND agent_id = $2 AND vector_version IS NOT NULL",
        static row => row.GetInt64(0), tenant.AccountId, agentId);

    /// <summary>Those of an agent whose vectors changed after a version.</summary>
    internal static List<long> ChangedAfter(DbSession session, TenantContext tenant, string agentId, long version) =>
        session.List("SELECT number FROM documents WHERE account_id = $1 AND agent_id = $2 AND vector_version > $3",
            static row => row.GetInt64(0), tenant.AccountId, agentId, version);

    /// <summary>Hands out the vectors of a document, each of which is there until the next alone.</summary>
    internal static void Read(
        DbSession session, TenantContext tenant, long document, Action<long, ReadOnlySpan<float>> take) => session.Each(
        "SELECT key, vector FROM chunk_vectors WHERE key >= $1 AND key < $2",
        row =>
        {
            var key = row.GetInt64(0);
            take(key, Unpack(session, tenant, key, row.GetFieldValue<byte[]>(1)));
        },
        ChunkKey.Of(document, 0), ChunkKey.Of(document + 1, 0));

    /// <summary>The vector of one chunk; empty when there is none.</summary>
    internal static ReadOnlySpan<float> At(DbSession session, TenantContext tenant, long key) =>
        session.Bytes("SELECT vector FROM chunk_vectors WHERE key = $1", key) is { } stored
            ? Unpack(session, tenant, key, stored)
            : [];

    private static int DeleteRows(DbSession session, long document) => session.Execute(
        "DELETE FROM chunk_vectors WHERE key >= $1 AND key < $2", ChunkKey.Of(document, 0),
        ChunkKey.Of(document + 1, 0));

    private static void Touch(DbSession session, TenantContext tenant, string agentId, long document)
    {
        session.Execute("UPDATE search_indexes SET vector_version = vector_version + 1 "
            + "WHERE agent_id = $1 AND account_id = $2", agentId, tenant.AccountId);
        session.Execute("UPDATE documents SET vector_version = "
            + "(SELECT vector_version FROM search_indexes WHERE agent_id = $1 AND account_id = $2) "
            + "WHERE number = $3 AND account_id = $2", agentId, tenant.AccountId, document);
    }

    private static byte[] Pack(DbSession session, TenantContext tenant, bool isSealed, long key, float[] vector)
    {
        var numbers = MemoryMarshal.AsBytes(vector.AsSpan());
        return isSealed
            ? session.ContentKey(tenant).Seal(ContentColumns.ChunkVector, RowName(key), numbers)
            : [0, .. numbers];
    }

    /// <exception cref="StorageException">It is encrypted, and not as it was written.</exception>
    private static ReadOnlySpan<float> Unpack(DbSession session, TenantContext tenant, long key, byte[] stored)
    {
        try
        {
            return MemoryMarshal.Cast<byte, float>(ContentKey.IsSealed(stored)
                ? session.ContentKey(tenant).Open(ContentColumns.ChunkVector, RowName(key), stored)
                : stored.AsSpan(1));
        }
        catch (CryptographicException error)
        {
            throw new StorageException(StorageFault.Damaged,
                $"{ContentColumns.ChunkVector} of {RowName(key)} is encrypted and not as it was written.", error);
        }
    }

    private static string RowName(long key) => key.ToString(CultureInfo.InvariantCulture);

    private static string? Setting(DbSession session, string name) => session.Single(
        "SELECT value FROM settings WHERE name = $1", static row => row.GetString(0), name);

    private static void Set(DbSession session, string name, string value) => session.Execute(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        name, value);
}
