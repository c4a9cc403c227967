using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval.Vectors;

/// <summary>
/// The vectors that are in memory: an agent's come at its first search, and go when others need the room and it was not
/// searched for longest.
/// </summary>
internal sealed class VectorIndexes(ReeveOptions options) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Held> _byUse = [];
    private readonly Dictionary<(string, string), LinkedListNode<Held>> _nodes = [];

    /// <summary>Bytes of memory that all take.</summary>
    internal long Bytes
    {
        get
        {
            lock (_lock)
            {
                return _byUse.Sum(static one => one.Index.Bytes);
            }
        }
    }

    internal List<long> Nearest(DbSession session, TenantContext tenant, string agentId, SearchIndex index,
        ReadOnlySpan<float> vector, int count, Predicate<long>? fits)
    {
        var found = Of((tenant.AccountId, agentId), vector.Length)
            .Nearest(session, tenant, agentId, index, vector, count, fits);
        Shrink();
        return found;
    }

    public void Dispose()
    {
        foreach (var held in _byUse)
        {
            held.Index.Dispose();
        }
    }

    private VectorIndex Of((string Account, string Agent) owner, int length)
    {
        lock (_lock)
        {
            if (_nodes.TryGetValue(owner, out var node))
            {
                _byUse.Remove(node);
            }

            // Who makes vectors of another length makes other vectors.
            node = node?.Value.Index.Length == length ? node : new(new Held(owner, new VectorIndex(length)));
            _byUse.AddFirst(node);
            _nodes[owner] = node;
            return node.Value.Index;
        }
    }

    // What is dropped may be in use still, and is then there until that ends.
    private void Shrink()
    {
        lock (_lock)
        {
            for (var bytes = _byUse.Sum(static one => one.Index.Bytes);
                bytes > options.Retrieval.VectorBytesMax && _byUse.Count > 1;)
            {
                var last = _byUse.Last!;
                bytes -= last.Value.Index.Bytes;
                _byUse.RemoveLast();
                _nodes.Remove(last.Value.Owner);
            }
        }
    }

    private sealed record Held((string Account, string Agent) Owner, VectorIndex Index);
}
