using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>The SQL of files whose text is not read yet, or could not be.</summary>
internal static class DocumentFileStore
{
    internal static void Insert(
        DbSession session, TenantContext tenant, string id, ReadOnlyMemory<byte> file, bool isSealed) =>
        session.Execute("INSERT INTO document_files (document_id, account_id, bytes) VALUES ($1, $2, $3)", id,
            tenant.AccountId, isSealed
                ? session.ContentKey(tenant).Seal(ContentColumns.DocumentFile, id, file.Span) : file.ToArray());

    /// <summary>Null when it is gone.</summary>
    internal static byte[]? Find(DbSession session, TenantContext tenant, string id, bool isSealed)
    {
        var stored = session.Single(
            "SELECT bytes FROM document_files WHERE document_id = $1 AND account_id = $2",
            static row => row.GetFieldValue<byte[]>(0), id, tenant.AccountId);
        return stored is null || !isSealed
            ? stored : session.ContentKey(tenant).Open(ContentColumns.DocumentFile, id, stored);
    }

    /// <summary>Encrypts the file of a document that became confidential.</summary>
    internal static void Seal(DbSession session, TenantContext tenant, string id)
    {
        if (Find(session, tenant, id, isSealed: false) is { } file)
        {
            Delete(session, tenant, id);
            Insert(session, tenant, id, file, isSealed: true);
        }
    }

    internal static void Delete(DbSession session, TenantContext tenant, string id) => session.Execute(
        "DELETE FROM document_files WHERE document_id = $1 AND account_id = $2", id, tenant.AccountId);

    internal static void DeleteOfAgent(DbSession session, TenantContext tenant, string agentId) => session.Execute(
        "DELETE FROM document_files WHERE document_id IN "
        + "(SELECT id FROM documents WHERE account_id = $1 AND agent_id = $2)", tenant.AccountId, agentId);

    /// <summary>The documents of every account that wait to be read, oldest first.</summary>
    internal static List<(TenantContext Tenant, string Id)> Waiting(DbSession session) => session.List(
        "SELECT account_id, id FROM documents WHERE status = 'processing' ORDER BY number",
        static row => (new TenantContext(row.GetString(0)), row.GetString(1)));
}
