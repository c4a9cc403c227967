using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Reeve.Server.Storage;

/// <summary>
/// The accounts' content keys. Each is random and lies in the database wrapped (AES-256-GCM) by a key derived from the
/// master key, which is never there: without that, what is sealed can be read by nobody.
/// </summary>
internal sealed class ContentKeys(MasterKey master)
{
    private const int Version = 1;
    private const int EntriesMax = 100_000;

    private readonly byte[] _wrappingKey = master.Derive("content-keys");
    private readonly ConcurrentDictionary<string, ContentKey> _known = new(StringComparer.Ordinal);

    /// <summary>Makes the key of a new account; part of the transaction that adds it.</summary>
    internal void Create(DbSession session, TenantContext tenant, DateTimeOffset at) => session.Execute(
        "INSERT INTO content_keys (account_id, version, wrapped, created_at) VALUES ($1, $2, $3, $4)",
        tenant.AccountId, Version,
        SealedBytes.Seal(_wrappingKey, Name(tenant.AccountId), RandomNumberGenerator.GetBytes(ContentKey.Length)),
        at.ToUnixTimeMilliseconds());

    /// <summary>Makes the keys of accounts that were there before there were such keys.</summary>
    internal void CreateMissing(DbSession session, DateTimeOffset at)
    {
        foreach (var id in session.List("SELECT id FROM accounts WHERE id NOT IN (SELECT account_id FROM content_keys)",
            static row => row.GetString(0)))
        {
            Create(session, new TenantContext(id), at);
        }
    }

    /// <exception cref="StorageException">The account's key is gone, or not as the server wrote it.</exception>
    internal ContentKey Find(DbSession session, TenantContext tenant)
    {
        if (_known.TryGetValue(tenant.AccountId, out var known))
        {
            return known;
        }

        var wrapped = session.Single("SELECT wrapped FROM content_keys WHERE account_id = $1 AND version = $2",
            static row => row.GetFieldValue<byte[]>(0), tenant.AccountId, Version);
        try
        {
            known = new ContentKey(tenant.AccountId, Version,
                SealedBytes.Open(_wrappingKey, Name(tenant.AccountId), wrapped ?? []));
        }
        catch (CryptographicException error)
        {
            throw new StorageException(StorageFault.Damaged,
                $"The content key of {tenant.AccountId} is {(wrapped is null ? "gone" : "damaged")}; what is encrypted "
                + "under it cannot be read. Restore a backup that has it.", error);
        }

        if (_known.Count >= EntriesMax)
        {
            _known.Clear();
        }

        _known[tenant.AccountId] = known;
        return known;
    }

    private static string Name(string accountId) => $"reeve/content-key\n{accountId}\n{Version}";
}
