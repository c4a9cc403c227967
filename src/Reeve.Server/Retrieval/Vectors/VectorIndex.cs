using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval.Vectors;

/// <summary>
/// The vectors of one agent's chunks in memory, a byte a number, from which a search takes its candidates: it looks at
/// each of them. They are brought up to date from the snapshot of a search, and may then be younger than that of
/// another; the numbers that count are those that the search reads from its own snapshot.
/// </summary>
internal sealed class VectorIndex : IDisposable
{
    /// <summary>Numbers that are multiplied at once; vectors are filled up with zeros.</summary>
    private const int Lane = 32;

    /// <summary>So that the index grows without copying what it has.</summary>
    private const int BlockVectors = 1_024;

    private readonly ReaderWriterLockSlim _lock = new();
    private readonly int _length;
    private readonly int _stride;
    private readonly List<sbyte[]> _blocks = [];
    private readonly List<long> _keys = [];
    private readonly List<float> _scales = [];
    private long _version;
    private long _removals;

    /// <param name="length">Numbers in a vector; those of another length are left out.</param>
    internal VectorIndex(int length) => (_length, _stride) = (length, (length + Lane - 1) / Lane * Lane);

    internal int Length => _length;

    /// <summary>Bytes of memory that it takes.</summary>
    internal long Bytes => ((long)_blocks.Count * BlockVectors * _stride)
        + ((long)_keys.Capacity * sizeof(long)) + ((long)_scales.Capacity * sizeof(float));

    internal int Count => _keys.Count;

    public void Dispose() => _lock.Dispose();

    /// <summary>
    /// The keys of the chunks whose vectors are nearest to a vector, at most <paramref name="count"/>, of the documents
    /// that <paramref name="fits"/>.
    /// </summary>
    internal List<long> Nearest(DbSession session, TenantContext tenant, string agentId, SearchIndex index,
        ReadOnlySpan<float> vector, int count, Predicate<long>? fits)
    {
        Follow(session, tenant, agentId, index);
        var query = Widened(vector);
        _lock.EnterReadLock();
        try
        {
            return Nearest(query, count, fits);
        }
        finally
        {
            _lock.ExitReadLock();
        }
    }

    private List<long> Nearest(short[] query, int count, Predicate<long>? fits)
    {
        var best = new PriorityQueue<long, (double Score, long Key)>(count + 1, ChunkRanker.LastFirst);
        var last = (Score: double.NegativeInfinity, Key: 0L);
        var keys = CollectionsMarshal.AsSpan(_keys);
        var scales = CollectionsMarshal.AsSpan(_scales);
        for (var at = 0; at < keys.Length; at++)
        {
            var score = Dot(query, Slot(at)) * scales[at];
            if (score < last.Score || (fits is not null && !fits(ChunkKey.Document(keys[at]))))
            {
                continue;
            }

            best.Enqueue(keys[at], (score, keys[at]));
            if (best.Count > count)
            {
                best.Dequeue();
            }

            if (best.Count == count)
            {
                best.TryPeek(out _, out last);
            }
        }

        return [.. best.UnorderedItems.Select(static item => item.Element)];
    }

    /// <summary>Takes over what has changed since it was last brought up to date.</summary>
    private void Follow(DbSession session, TenantContext tenant, string agentId, SearchIndex index)
    {
        if (Volatile.Read(ref _version) >= index.VectorVersion)
        {
            return;
        }

        _lock.EnterWriteLock();
        try
        {
            if (_version >= index.VectorVersion)
            {
                return;
            }

            var changed = VectorStore.ChangedAfter(session, tenant, agentId, _version).ToHashSet();
            var held = index.VectorRemovals == _removals
                ? null
                : VectorStore.Documents(session, tenant, agentId).ToHashSet();
            Remove(document => changed.Contains(document) || held?.Contains(document) == false);
            foreach (var document in changed)
            {
                VectorStore.Read(session, tenant, document, Add);
            }

            _removals = index.VectorRemovals;
            Volatile.Write(ref _version, index.VectorVersion);
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }

    private void Add(long key, ReadOnlySpan<float> vector)
    {
        if (vector.Length != _length)
        {
            return;
        }

        if (_keys.Count == _blocks.Count * BlockVectors)
        {
            _blocks.Add(new sbyte[BlockVectors * _stride]);
        }

        _keys.Add(key);
        _scales.Add(Pack(vector, Slot(_keys.Count - 1)));
    }

    /// <summary>What is left keeps its order and moves up.</summary>
    private void Remove(Predicate<long> isOut)
    {
        var kept = 0;
        for (var at = 0; at < _keys.Count; at++)
        {
            if (isOut(ChunkKey.Document(_keys[at])))
            {
                continue;
            }

            if (kept < at)
            {
                (_keys[kept], _scales[kept]) = (_keys[at], _scales[at]);
                Slot(at).CopyTo(Slot(kept));
            }

            kept++;
        }

        _keys.RemoveRange(kept, _keys.Count - kept);
        _scales.RemoveRange(kept, _scales.Count - kept);
        var blocks = (kept + BlockVectors - 1) / BlockVectors;
        _blocks.RemoveRange(blocks, _blocks.Count - blocks);
    }

    private Span<sbyte> Slot(int at) =>
        _blocks[at / BlockVectors].AsSpan(at % BlockVectors * _stride, _stride);

    /// <summary>Writes a vector as whole numbers from -127 to 127; answers by what they are to be multiplied.</summary>
    private static float Pack(ReadOnlySpan<float> vector, Span<sbyte> packed)
    {
        var largest = Math.Abs(TensorPrimitives.MaxMagnitude(vector));
        var scale = largest > 0 ? largest / sbyte.MaxValue : 1;
        for (var at = 0; at < vector.Length; at++)
        {
            packed[at] = (sbyte)MathF.Round(vector[at] / scale);
        }

        packed[vector.Length..].Clear();
        return scale;
    }

    private short[] Widened(ReadOnlySpan<float> vector)
    {
        Span<sbyte> packed = new sbyte[_stride];
        _ = Pack(vector, packed);
        var wide = new short[_stride];
        for (var at = 0; at < wide.Length; at++)
        {
            wide[at] = packed[at];
        }

        return wide;
    }

    // Two products of bytes fit into 16 bits together.
    private static int Dot(ReadOnlySpan<short> query, ReadOnlySpan<sbyte> vector)
    {
        var sum = Vector256<int>.Zero;
        ref var left = ref MemoryMarshal.GetReference(query);
        ref var right = ref MemoryMarshal.GetReference(vector);
        for (nuint at = 0; at < (nuint)vector.Length; at += Lane)
        {
            var (low, high) = Vector256.Widen(Vector256.LoadUnsafe(ref right, at));
            var queryLow = Vector256.LoadUnsafe(ref left, at);
            var queryHigh = Vector256.LoadUnsafe(ref left, at + (Lane / 2));
            if (Avx2.IsSupported)
            {
                sum += Avx2.MultiplyAddAdjacent(low, queryLow) + Avx2.MultiplyAddAdjacent(high, queryHigh);
            }
            else
            {
                var (first, second) = Vector256.Widen((low * queryLow) + (high * queryHigh));
                sum += first + second;
            }
        }

        return Vector256.Sum(sum);
    }
}
