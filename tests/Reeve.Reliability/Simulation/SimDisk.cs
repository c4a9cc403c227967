namespace Reeve.Reliability.Simulation;

/// <summary>What may befall one operation on a file.</summary>
internal enum SimFault
{
    None,
    Failed,
    Full,
}

/// <summary>Someone who has files open and can die: a server process of the simulation.</summary>
internal sealed class SimProcess(Func<bool, SimFault> beforeWrite)
{
    internal bool IsDead { get; private set; }

    /// <summary>Asked before each write and sync (true); it may also end the process.</summary>
    internal SimFault BeforeWrite(bool isSync) => IsDead ? SimFault.Failed : beforeWrite(isSync);

    internal void Die() => IsDead = true;
}

/// <summary>An open file of a process.</summary>
internal sealed class SimHandle(SimFile file, SimProcess process, bool isTemporary)
{
    internal SimFile File => file;

    internal SimProcess Process => process;

    internal bool IsDead => process.IsDead;

    internal bool IsTemporary => isTemporary;

    internal SimSharedMemory? Shared { get; set; }
}

/// <summary>
/// The files of a history. One thread runs a history, so the disk that SQLite's calls are meant for is the thread's.
/// </summary>
internal sealed class SimDisk(SimRandom random)
{
    [ThreadStatic]
    private static SimDisk? _current;

    private readonly Dictionary<string, SimFile> _files = new(StringComparer.Ordinal);
    private readonly HashSet<SimHandle> _open = [];

    internal static SimDisk Current => _current ?? throw new InvalidOperationException("No history runs here.");

    /// <summary>What SQLite takes its random bytes from.</summary>
    internal SimRandom Random => random;

    /// <summary>Who opens files now.</summary>
    internal SimProcess? Process { get; set; }

    internal void MakeCurrent() => _current = this;

    internal SimDisk Copy(SimRandom randomOfCopy)
    {
        var copy = new SimDisk(randomOfCopy);
        foreach (var (name, file) in _files)
        {
            copy._files.Add(name, file.Copy());
        }

        return copy;
    }

    internal SimFile? Find(string name) => _files.GetValueOrDefault(name);

    internal SimHandle Open(string? name)
    {
        var file = name is null ? new SimFile("") : _files.GetValueOrDefault(name);
        if (file is null)
        {
            _files.Add(name!, file = new SimFile(name!));
        }

        var handle = new SimHandle(file, Process ?? throw new InvalidOperationException("Nobody opens files now."),
            isTemporary: name is null);
        _open.Add(handle);
        return handle;
    }

    internal void Delete(string name) => _files.Remove(name);

    internal void Close(SimHandle handle)
    {
        handle.File.Lock.Lower(handle, SimLock.None);
        LeaveShared(handle);
        _open.Remove(handle);
    }

    internal static void LeaveShared(SimHandle handle)
    {
        if (handle.Shared is { } shared)
        {
            handle.Shared = null;
            if (shared.Leave(handle) && handle.File.Shared == shared)
            {
                handle.File.Shared = null;
            }
        }
    }

    /// <summary>
    /// Releases what a dead process held. Without <paramref name="keepsPower"/> the machine went with it.
    /// </summary>
    internal void Bury(SimProcess process, bool keepsPower)
    {
        foreach (var handle in _open.Where(one => one.Process == process))
        {
            handle.File.Lock.Lower(handle, SimLock.None);
            handle.Shared?.Release(handle);
            if (handle.File.Shared is { IsUsedByLiving: false })
            {
                handle.File.Shared = null; // Those who come now begin a new one, as after a reboot.
            }
        }

        if (!keepsPower)
        {
            foreach (var file in _files.Values)
            {
                file.LosePower(random);
            }
        }
    }
}
