namespace Reeve.Server.Storage;

/// <summary>The folder that holds everything a server keeps; a lock on it keeps a second server out.</summary>
internal sealed class DataFolder : IDisposable
{
    internal const string DatabaseName = "reeve.db";
    internal const string LockName = "lock";

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>EROFS of Linux and macOS.</summary>
    private const int ReadOnlyFileSystem = 30;

    private readonly FileStream _lock;

    private DataFolder(string path, FileStream @lock)
    {
        FolderPath = path;
        _lock = @lock;
    }

    internal string FolderPath { get; }

    internal string DatabasePath => DatabaseIn(FolderPath);

    /// <summary>Where the database of a data folder lies; for commands that work beside a running server.</summary>
    internal static string DatabaseIn(string folder) => Path.Combine(folder, DatabaseName);

    /// <summary>Whether a process holds a file as a server its lock; it is held itself for that moment.</summary>
    internal static bool IsHeld(string file)
    {
        try
        {
            new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read).Dispose();
            return false;
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException
            or UnauthorizedAccessException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    /// <summary>Creates the folder where it is missing (mode 0700) and locks it until disposal.</summary>
    internal static DataFolder Open(string path)
    {
        var full = Path.GetFullPath(path);
        try
        {
            Create(full);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new StartException($"The data folder {full} cannot be created or written: {error.Message}", error);
        }

        return new DataFolder(full, Lock(full));
    }

    /// <summary>
    /// Makes the database's file, empty, for its owner alone; SQLite gives its other files the same mode.
    /// </summary>
    internal void CreateDatabase()
    {
        if (!OperatingSystem.IsWindows() && !File.Exists(DatabasePath))
        {
            using var file = new FileStream(DatabasePath, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
        }
    }

    public void Dispose() => _lock.Dispose();

    private static void Create(string path)
    {
        if (Directory.Exists(path))
        {
            return;
        }

        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, OwnerOnly);
        }
    }

    private static FileStream Lock(string path)
    {
        var file = Path.Combine(path, LockName);
        try
        {
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new StartException($"The data folder {path} cannot be written by this user.", error);
        }
        catch (IOException error) when (error.HResult == ReadOnlyFileSystem)
        {
            throw new StartException(
                $"The data folder {path} cannot be written: it lies on a read-only file system.", error);
        }
        catch (IOException error) when (File.Exists(file))
        {
            throw new StartException($"Another server is running on the data folder {path}.", error);
        }
        catch (IOException error)
        {
            throw new StartException($"The data folder {path} cannot be written: {error.Message}", error);
        }
    }
}
