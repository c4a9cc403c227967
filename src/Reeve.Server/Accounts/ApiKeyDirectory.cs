using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

/// <summary>A key that was found, with everything that a request under it needs.</summary>
internal sealed record KnownKey
{
    internal required Caller Caller { get; init; }

    internal required RateLimit AccountLimit { get; init; }

    internal required RateLimit? KeyLimit { get; init; }

    internal required RequestCounter AccountCounter { get; init; }

    internal required RequestCounter KeyCounter { get; init; }

    internal required long Version { get; init; }

    internal required long LoadedAt { get; init; }
}

/// <summary>
/// Finds keys by their text, from memory for at most a second. A change made in this process counts from the next
/// request on: whoever changes a key or an account calls <see cref="Changed"/> after the commit and before the answer.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The sources of cancellation have neither timer nor wait handle.")]
internal sealed class ApiKeyDirectory(
    Database database, ApiKeyHasher hasher, RequestCounters counters, ReeveOptions options, TimeProvider time)
{
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<ApiKeyHash, KnownKey> _known = new();
    private readonly ConcurrentDictionary<string, CancellationTokenSource> _revocations = new(StringComparer.Ordinal);
    private long _version;

    /// <summary>The live key with this text, of an account that is not closed; null for everything else.</summary>
    internal KnownKey? Find(ReadOnlySpan<char> text, DateTimeOffset now)
    {
        if (ApiKeyText.KindOf(text) is null)
        {
            return null;
        }

        var hash = hasher.Hash(text);
        var version = Volatile.Read(ref _version); // Read before the row, so that no change slips between.
        if (!_known.TryGetValue(hash, out var known) || known.Version != version
            || time.GetElapsedTime(known.LoadedAt) >= Freshness)
        {
            known = Load(hash, version);
        }

        return known is { Caller: { Key: var key, Account.Status: not AccountStatuses.Closed } } && key.IsLive(now)
            ? known
            : null;
    }

    /// <summary>Forgets what is known of every key; changes are rare and a key is read in microseconds.</summary>
    internal void Changed() => Interlocked.Increment(ref _version);

    /// <summary>As <see cref="Changed"/>, and tells the open streams of the key to end.</summary>
    internal void Revoked(string keyId)
    {
        Changed();
        RevocationOf(keyId).Cancel();
    }

    private KnownKey? Load(ApiKeyHash hash, long version)
    {
        var loadedAt = time.GetTimestamp();
        var row = database.Read(session => ApiKeyStore.FindByHash(session, hash.ToArray()) is var (key, tenant)
            ? (Key: key, Account: AccountStore.Find(session, tenant)!)
            : default);
        if (row.Key is null)
        {
            _known.TryRemove(hash, out _);
            return null;
        }

        var caller = new Caller(row.Account, row.Key) { Revoked = RevocationOf(row.Key.Id).Token };
        var perMinute = row.Account.Limits.RequestsPerMinute
            ?? AccountPlans.RequestsPerMinute(row.Account.Plan, options);
        var known = new KnownKey
        {
            Caller = caller,
            AccountLimit = new RateLimit("account", perMinute),
            KeyLimit = row.Key.Limits.RequestsPerMinute is { } limit ? new RateLimit("key", limit) : null,
            AccountCounter = counters.OfAccount(caller.Tenant),
            KeyCounter = counters.OfKey(caller.Tenant, row.Key.Id),
            Version = version,
            LoadedAt = loadedAt,
        };
        _known[hash] = known;
        return known;
    }

    private CancellationTokenSource RevocationOf(string keyId) =>
        _revocations.GetOrAdd(keyId, static _ => new CancellationTokenSource());
}
