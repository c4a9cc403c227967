namespace Reeve.Server.Storage.Backups;

/// <summary>
/// A file in the making, for its owner alone (mode 0600) and under another name: it gets its own only when all of it is
/// on the disk, and is gone when that does not come about. What a killed process left is replaced by the next one.
/// </summary>
internal sealed class PartialFile : IDisposable
{
    private const int BufferBytes = 1 << 22;

    private readonly string? _finalPath;
    private bool _isComplete;

    private PartialFile(string path, string? finalPath)
    {
        FilePath = path;
        _finalPath = finalPath;
        try
        {
            TakeAway(path);

            // Written through in large pieces: so there is never much that a server's own flush would have to wait for.
            var options = new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
                BufferSize = BufferBytes,
                Options = FileOptions.WriteThrough,
            };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            Stream = new FileStream(path, options);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new BackupException($"{path} cannot be written: {error.Message}", error);
        }
    }

    internal string FilePath { get; }

    internal FileStream Stream { get; }

    /// <summary>A file that will be at <paramref name="path"/>, where there is none yet.</summary>
    internal static PartialFile For(string path) => File.Exists(path) || Directory.Exists(path)
        ? throw new BackupException($"{path} exists already; name another file, or remove it first.")
        : new PartialFile(path + ".partial", path);

    /// <summary>A file that is only needed meanwhile.</summary>
    internal static PartialFile Temporary(string path) => new(path, null);

    /// <summary>Gives the file its name once it is on the disk.</summary>
    internal void Complete()
    {
        Stream.Flush(flushToDisk: true);
        Stream.Dispose();
        File.Move(FilePath, _finalPath!);
        _isComplete = true;
        FolderSync.Flush(Path.GetDirectoryName(Path.GetFullPath(_finalPath!))!);
    }

    public void Dispose()
    {
        try
        {
            Stream.Dispose();
        }
        catch (IOException) when (!_isComplete)
        {
            // What is buffered found no room; the file goes anyway.
        }

        if (!_isComplete)
        {
            File.Delete(FilePath);
        }
    }

    // Whoever is still at it holds its lock.
    private static void TakeAway(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }

        try
        {
            new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None).Dispose();
        }
        catch (IOException error)
        {
            throw new BackupException($"Another backup is being written to {path}; wait for its end.", error);
        }

        File.Delete(path);
    }
}
