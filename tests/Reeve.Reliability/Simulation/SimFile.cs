namespace Reeve.Reliability.Simulation;

/// <summary>
/// A file as the operating system shows it, and beneath it what a disk would still have after a power cut: the content
/// at the last sync, with none, some or torn parts of what was written since.
/// </summary>
internal sealed class SimFile(string name)
{
    private const int SectorBytes = 512;

    private readonly List<(long Offset, byte[]? Bytes)> _unsynced = []; // No bytes: the file was cut to the offset.
    private Content _shown = new();
    private Content _durable = new();

    internal string Name => name;

    internal long Length => _shown.Length;

    internal SimLock Lock { get; } = new();

    /// <summary>The shared memory of those who have the file open now; it does not outlive them.</summary>
    internal SimSharedMemory? Shared { get; set; }

    internal SimFile Copy()
    {
        var copy = new SimFile(name) { _shown = _shown.Copy(), _durable = _durable.Copy() };
        copy._unsynced.AddRange(_unsynced);
        return copy;
    }

    /// <summary>Fills the span; what lies beyond the end reads as zeros. False: some did.</summary>
    internal bool Read(Span<byte> into, long offset) => _shown.Read(into, offset);

    internal void Write(ReadOnlySpan<byte> bytes, long offset)
    {
        _shown.Write(bytes, offset);
        _unsynced.Add((offset, bytes.ToArray()));
    }

    internal void Truncate(long length)
    {
        _shown.Truncate(length);
        _unsynced.Add((length, null));
    }

    internal void Sync()
    {
        foreach (var (offset, bytes) in _unsynced)
        {
            Apply(offset, bytes);
        }

        _unsynced.Clear();
    }

    /// <summary>The power goes: each write since the last sync is kept, lost, or torn at a sector.</summary>
    internal void LosePower(SimRandom random)
    {
        foreach (var (offset, bytes) in _unsynced)
        {
            switch (random.Below(4))
            {
                case 0:
                    Apply(offset, bytes);
                    break;
                case 1 when bytes is { Length: > SectorBytes }:
                    Apply(offset, bytes[..(SectorBytes * (1 + random.Below((bytes.Length - 1) / SectorBytes)))]);
                    break;
                default:
                    break;
            }
        }

        _unsynced.Clear();
        _shown = _durable.Copy();
    }

    private void Apply(long offset, byte[]? bytes)
    {
        if (bytes is null)
        {
            _durable.Truncate(offset);
        }
        else
        {
            _durable.Write(bytes, offset);
        }
    }

    /// <summary>Bytes in pages that copies share until one of them writes.</summary>
    private sealed class Content
    {
        private const int PageBytes = 4096;

        private List<Page> _pages = [];

        internal long Length { get; private set; }

        internal Content Copy()
        {
            foreach (var page in _pages)
            {
                page.IsShared = true;
            }

            return new Content { _pages = [.. _pages], Length = Length };
        }

        internal bool Read(Span<byte> into, long offset)
        {
            var there = (int)Math.Clamp(Length - offset, 0, into.Length);
            for (var done = 0; done < there;)
            {
                var at = (int)((offset + done) % PageBytes);
                var count = Math.Min(PageBytes - at, there - done);
                _pages[(int)((offset + done) / PageBytes)].Bytes.AsSpan(at, count).CopyTo(into[done..]);
                done += count;
            }

            into[there..].Clear();
            return there == into.Length;
        }

        internal void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            for (var done = 0; done < bytes.Length;)
            {
                var at = (int)((offset + done) % PageBytes);
                var count = Math.Min(PageBytes - at, bytes.Length - done);
                bytes.Slice(done, count).CopyTo(Own((int)((offset + done) / PageBytes)).AsSpan(at));
                done += count;
            }

            Length = Math.Max(Length, offset + bytes.Length);
        }

        internal void Truncate(long length)
        {
            if (length >= Length)
            {
                return;
            }

            var kept = (int)((length + PageBytes - 1) / PageBytes);
            _pages.RemoveRange(kept, _pages.Count - kept);
            if (length % PageBytes > 0)
            {
                Own(kept - 1).AsSpan((int)(length % PageBytes)).Clear();
            }

            Length = length;
        }

        private byte[] Own(int index)
        {
            while (_pages.Count <= index)
            {
                _pages.Add(new Page(new byte[PageBytes]));
            }

            if (_pages[index].IsShared)
            {
                _pages[index] = new Page(_pages[index].Bytes.ToArray());
            }

            return _pages[index].Bytes;
        }

        private sealed record Page(byte[] Bytes)
        {
            internal bool IsShared { get; set; }
        }
    }
}

/// <summary>SQLite's five-step lock on a database file, among the connections of one process or of several.</summary>
internal sealed class SimLock
{
    internal const int None = 0;
    internal const int SharedLevel = 1;
    internal const int Reserved = 2;
    internal const int Pending = 3;
    internal const int Exclusive = 4;

    private readonly Dictionary<SimHandle, int> _levels = [];

    internal bool IsReserved => _levels.ContainsValue(Reserved) || _levels.ContainsValue(Pending)
        || _levels.ContainsValue(Exclusive);

    /// <summary>False: another connection is in the way.</summary>
    internal bool TryRaise(SimHandle handle, int level)
    {
        var others = _levels.Where(pair => pair.Key != handle).Select(static pair => pair.Value).ToList();
        var isFree = level switch
        {
            SharedLevel => !others.Exists(static other => other >= Pending),
            Reserved => !others.Exists(static other => other >= Reserved),
            _ => others.Count == 0,
        };
        if (isFree)
        {
            _levels[handle] = Math.Max(level, _levels.GetValueOrDefault(handle));
        }

        return isFree;
    }

    internal void Lower(SimHandle handle, int level)
    {
        if (level == None)
        {
            _levels.Remove(handle);
        }
        else if (_levels.TryGetValue(handle, out var held))
        {
            _levels[handle] = Math.Min(level, held);
        }
    }
}
