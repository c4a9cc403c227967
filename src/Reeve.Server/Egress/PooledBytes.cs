using System.Buffers;
using System.Diagnostics;

namespace Reeve.Server.Egress;

/// <summary>A growing run of bytes in a rented array; <see cref="Dispose"/> gives the array back.</summary>
internal sealed class PooledBytes(int capacity) : IBufferWriter<byte>, IDisposable
{
    private byte[]? _array = ArrayPool<byte>.Shared.Rent(capacity);
    private int _length;

    internal int Length => _length;

    internal ReadOnlyMemory<byte> Memory => Array.AsMemory(0, _length);

    internal ReadOnlySpan<byte> Span => Array.AsSpan(0, _length);

    private byte[] Array => _array ?? throw new ObjectDisposedException(nameof(PooledBytes));

    public void Advance(int count)
    {
        Debug.Assert(count >= 0 && _length + count <= Array.Length, "The writer went past what it was given.");
        _length += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return Array.AsMemory(_length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return Array.AsSpan(_length);
    }

    public void Dispose()
    {
        if (_array is { } array)
        {
            _array = null;
            ArrayPool<byte>.Shared.Return(array);
        }
    }

    internal void Clear() => _length = 0;

    internal void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(GetSpan(bytes.Length));
        _length += bytes.Length;
    }

    /// <summary>Drops the first bytes and moves the rest to the front.</summary>
    internal void Consume(int count)
    {
        Debug.Assert(count >= 0 && count <= _length, "Nobody can consume more than there is.");
        Array.AsSpan(count, _length - count).CopyTo(Array);
        _length -= count;
    }

    private void Reserve(int sizeHint)
    {
        var needed = checked(_length + Math.Max(sizeHint, 1));
        if (needed <= Array.Length)
        {
            return;
        }

        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(needed, Array.Length * 2));
        Span.CopyTo(larger);
        ArrayPool<byte>.Shared.Return(Array);
        _array = larger;
    }
}
