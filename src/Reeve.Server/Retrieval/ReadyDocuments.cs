using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// Whether an agent has documents to search, whether any is encrypted, and the strictest class of those to search.
/// </summary>
internal sealed record KnownDocuments(bool HasReady, bool HasSealed, PrivacyClass Strictest);

/// <summary>Remembers which agents have documents to search: every run asks, and the answer seldom changes.</summary>
internal sealed class ReadyDocuments(Database database)
{
    private const int EntriesMax = 100_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<(string Account, string Agent), KnownDocuments> _known = [];
    private long _changes;

    /// <summary>Documents of some agent have changed.</summary>
    internal event Action? Changed;

    internal KnownDocuments Find(TenantContext tenant, string agentId)
    {
        var key = (tenant.AccountId, agentId);
        long before;
        lock (_lock)
        {
            if (_known.TryGetValue(key, out var known))
            {
                return known;
            }

            before = _changes;
        }

        var found = database.Read(session => new KnownDocuments(
            DocumentStore.HasReady(session, tenant, agentId), DocumentStore.HasSealed(session, tenant, agentId),
            DocumentStore.StrictestReady(session, tenant, agentId)));
        lock (_lock)
        {
            // A change committed since may be younger than what was read.
            if (before == _changes)
            {
                if (_known.Count >= EntriesMax)
                {
                    _known.Clear();
                }

                _known[key] = found;
            }
        }

        return found;
    }

    /// <summary>To be called when a change of the agent's documents is durable.</summary>
    internal void Forget(TenantContext tenant, string agentId)
    {
        lock (_lock)
        {
            _changes++;
            _known.Remove((tenant.AccountId, agentId));
        }

        Changed?.Invoke();
    }
}
