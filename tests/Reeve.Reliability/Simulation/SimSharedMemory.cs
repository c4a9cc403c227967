using System.Runtime.InteropServices;

namespace Reeve.Reliability.Simulation;

/// <summary>The index of a write-ahead log, which SQLite's connections share, with its eight locks.</summary>
internal sealed unsafe class SimSharedMemory
{
    private const int LockCount = 8;

    private readonly List<nint> _regions = [];
    private readonly HashSet<SimHandle>[] _shared = [.. Enumerable.Range(0,
        LockCount).Select(_ => new HashSet<SimHandle>())];
    private readonly SimHandle?[] _exclusive = new SimHandle?[LockCount];
    private readonly HashSet<SimHandle> _users = [];

    /// <summary>Zero: the region does not exist and was not asked to be made.</summary>
    internal nint Map(SimHandle handle, int region, int bytes, bool extend)
    {
        _users.Add(handle);
        while (extend && _regions.Count <= region)
        {
            _regions.Add((nint)NativeMemory.AllocZeroed((nuint)bytes));
        }

        return region < _regions.Count ? _regions[region] : 0;
    }

    internal bool TryLock(SimHandle handle, int first, int count, bool exclusive)
    {
        for (var i = first; i < first + count; i++)
        {
            if ((_exclusive[i] is { } owner && owner != handle)
                || (exclusive && _shared[i].Any(other => other != handle)))
            {
                return false;
            }
        }

        for (var i = first; i < first + count; i++)
        {
            if (exclusive)
            {
                _exclusive[i] = handle;
            }
            else
            {
                _shared[i].Add(handle);
            }
        }

        return true;
    }

    internal void Unlock(SimHandle handle, int first, int count)
    {
        for (var i = first; i < first + count; i++)
        {
            _shared[i].Remove(handle);
            _exclusive[i] = _exclusive[i] == handle ? null : _exclusive[i];
        }
    }

    /// <summary>True: nobody uses the memory any more, and it was given back.</summary>
    internal bool Leave(SimHandle handle)
    {
        Unlock(handle, 0, LockCount);
        if (!_users.Remove(handle) || _users.Count > 0)
        {
            return false;
        }

        foreach (var region in _regions)
        {
            NativeMemory.Free((void*)region);
        }

        _regions.Clear();
        return true;
    }

    /// <summary>The owner of the handle died: it holds no lock any more, though its memory must stay mapped.</summary>
    internal void Release(SimHandle handle) => Unlock(handle, 0, LockCount);

    internal bool IsUsedByLiving => _users.Any(static user => !user.IsDead);
}
