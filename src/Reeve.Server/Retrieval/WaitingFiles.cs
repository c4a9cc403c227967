using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// How many files of an account may wait for a parser, and of how many bytes: those that are stored as documents that
/// are <c>processing</c>, and those that a request holds in memory while it waits for their text.
/// </summary>
internal sealed class WaitingFiles(Database database, ReeveOptions options)
{
    private const int RetryAfterSeconds = 10;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (long Count, long Bytes)> _held = new(StringComparer.Ordinal);

    /// <summary>Part of the transaction that makes a file wait.</summary>
    /// <exception cref="ApiException">429: the account has as many waiting as it may.</exception>
    internal void RequireRoom(DbSession session, TenantContext tenant, long bytes)
    {
        var stored = DocumentStore.Waiting(session, tenant);
        lock (_lock)
        {
            Require(stored, _held.GetValueOrDefault(tenant.AccountId), bytes);
        }
    }

    /// <summary>Counts a file in memory until the caller disposes what is answered.</summary>
    /// <exception cref="ApiException">429: the account has as many waiting as it may.</exception>
    internal IDisposable Hold(TenantContext tenant, long bytes)
    {
        var stored = database.Read(session => DocumentStore.Waiting(session, tenant));
        lock (_lock)
        {
            var held = _held.GetValueOrDefault(tenant.AccountId);
            Require(stored, held, bytes);
            _held[tenant.AccountId] = (held.Count + 1, held.Bytes + bytes);
        }

        return new HeldFile(this, tenant.AccountId, bytes);
    }

    // One file is taken however large it is.
    private void Require((long Count, long Bytes) stored, (long Count, long Bytes) held, long bytes)
    {
        var count = stored.Count + held.Count;
        if (count >= options.Limits.WaitingFilesMax
            || (count > 0 && stored.Bytes + held.Bytes + bytes > options.Limits.WaitingBytesMax))
        {
            throw new ApiException(ApiErrorCodes.RateLimited,
                "The account has as many files waiting to be read as it may; try again when some are ready.")
            {
                RetryAfterSeconds = RetryAfterSeconds,
            };
        }
    }

    private void Release(string account, long bytes)
    {
        lock (_lock)
        {
            var held = _held[account];
            if (held.Count == 1)
            {
                _held.Remove(account);
            }
            else
            {
                _held[account] = (held.Count - 1, held.Bytes - bytes);
            }
        }
    }

    private sealed class HeldFile(WaitingFiles files, string account, long bytes) : IDisposable
    {
        public void Dispose() => files.Release(account, bytes);
    }
}
