using System.Collections.Concurrent;
using Reeve.Server.Storage;

namespace Reeve.Server.Webhooks;

/// <summary>
/// Which webhooks of an account hear of what, from memory: an account that has none pays one look into a table for an
/// event. Whoever changes a webhook calls <see cref="Changed"/> after the commit.
/// </summary>
internal sealed class WebhookSubscriptions(Database database)
{
    private readonly ConcurrentDictionary<string, Known> _known = new(StringComparer.Ordinal);
    private long _version;

    internal void Changed() => Interlocked.Increment(ref _version);

    /// <summary>The ids of the webhooks that are on and hear of this.</summary>
    internal IReadOnlyList<string> Of(TenantContext tenant, string type)
    {
        var version = Volatile.Read(ref _version); // Read before the rows, so that no change slips between.
        if (!_known.TryGetValue(tenant.AccountId, out var known) || known.Version != version)
        {
            var webhooks = database.Read(session => WebhookStore.List(session, tenant, null, int.MaxValue));
            known = new Known(version, webhooks.Where(static one => one.Enabled)
                .SelectMany(static one => one.Events.Select(type => (Type: type, one.Id)))
                .GroupBy(static one => one.Type, static one => one.Id, StringComparer.Ordinal)
                .ToDictionary(static one => one.Key, static one => (IReadOnlyList<string>)[.. one],
                    StringComparer.Ordinal));
            _known[tenant.AccountId] = known;
        }

        return known.ByType.TryGetValue(type, out var ids) ? ids : [];
    }

    private sealed record Known(long Version, Dictionary<string, IReadOnlyList<string>> ByType);
}
