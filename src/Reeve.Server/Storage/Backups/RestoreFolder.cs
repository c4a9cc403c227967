namespace Reeve.Server.Storage.Backups;

/// <summary>
/// A data folder in the making beside the place where it will be: it moves there in one step, or is gone.
/// </summary>
internal sealed class RestoreFolder : IDisposable
{
    private readonly string _target;
    private readonly DataFolder? _targetLock;
    private readonly DataFolder _making;
    private bool _isComplete;

    private RestoreFolder(string target, DataFolder? targetLock, DataFolder making)
    {
        _target = target;
        _targetLock = targetLock;
        _making = making;
    }

    /// <summary>Where the parts go meanwhile.</summary>
    internal string FolderPath => _making.FolderPath;

    /// <exception cref="BackupException">The target holds something.</exception>
    /// <exception cref="StartException">A server runs on it, or a folder cannot be made.</exception>
    internal static RestoreFolder For(string folder)
    {
        var target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        target = Directory.Exists(target)
            ? Directory.ResolveLinkTarget(target, returnFinalTarget: true)?.FullName ?? target
            : target;
        if (File.Exists(target))
        {
            throw new BackupException($"{target} is a file; name a folder that does not exist yet or is empty.");
        }

        // A lock alone is what a start leaves that came to nothing.
        var targetLock = File.Exists(Path.Combine(target, DataFolder.LockName)) ? DataFolder.Open(target) : null;
        try
        {
            if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target)
                .Any(static entry => Path.GetFileName(entry) != DataFolder.LockName))
            {
                throw new BackupException(
                    $"The data folder {target} is not empty; restore into a new one, or move this one away first.");
            }

            return new RestoreFolder(target, targetLock, Begin(target));
        }
        catch
        {
            targetLock?.Dispose();
            throw;
        }
    }

    /// <summary>Moves the folder to its place once all of it is on the disk.</summary>
    internal void Complete()
    {
        try
        {
            foreach (var path in Directory.EnumerateFiles(FolderPath))
            {
                if (Path.GetFileName(path) != DataFolder.LockName)
                {
                    using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
                    file.Flush(flushToDisk: true);
                }
            }

            FolderSync.Flush(FolderPath);
            if (_targetLock is not null)
            {
                File.Delete(Path.Combine(_target, DataFolder.LockName));
            }

            if (Directory.Exists(_target))
            {
                Directory.Delete(_target); // Fails when something came into it meanwhile.
            }

            Directory.Move(FolderPath, _target);
            _isComplete = true;
            FolderSync.Flush(Path.GetDirectoryName(_target)!);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                $"The restored folder cannot take the place of {_target}: {error.Message} Restore into a folder that "
                + "does not exist yet, such as one below it.", error);
        }
    }

    public void Dispose()
    {
        if (!_isComplete)
        {
            Directory.Delete(FolderPath, recursive: true);
        }

        _making.Dispose();
        _targetLock?.Dispose();
    }

    private static DataFolder Begin(string target)
    {
        var path = Path.Combine(Path.GetDirectoryName(target) ?? target, $".{Path.GetFileName(target)}.restoring");
        if (new DirectoryInfo(path).LinkTarget is not null)
        {
            throw new BackupException($"{path} is a link, which no restore makes; remove it first.");
        }

        var making = DataFolder.Open(path);
        try
        {
            Clear(path);
            return making;
        }
        catch
        {
            making.Dispose();
            throw;
        }
    }

    /// <summary>Takes away what a restore that was killed left, and nothing else.</summary>
    private static void Clear(string path)
    {
        var names = Directory.EnumerateFileSystemEntries(path).Select(static entry => Path.GetFileName(entry))
            .Where(static name => name != DataFolder.LockName).ToList();
        if (names.Find(static name => name != MasterKey.FileName
            && !name.StartsWith(DataFolder.DatabaseName, StringComparison.Ordinal)) is { } other)
        {
            throw new BackupException($"{path} holds {other}, which no restore makes; move it away first.");
        }

        names.ForEach(name => File.Delete(Path.Combine(path, name)));
    }
}
