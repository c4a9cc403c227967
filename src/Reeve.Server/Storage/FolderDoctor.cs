using System.Globalization;
using Reeve.Server.Storage.Backups;

namespace Reeve.Server.Storage;

/// <summary>The checks of <c>reeve doctor</c> on a data folder and its files, before the database is opened.</summary>
internal static class FolderDoctor
{
    private const long FreeBytesMin = 64L << 20;
    private const long FreeBytesGood = 1L << 30;
    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    private static readonly string[] NetworkFormats =
        ["nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "9p", "fuse.sshfs"];

    /// <summary>True when there is a database to look at.</summary>
    internal static bool Check(Diagnosis diagnosis, string folder, bool isServed)
    {
        if (!Directory.Exists(folder))
        {
            diagnosis.Problem("folder", $"{folder} does not exist.",
                "Name the data folder with --data; `reeve serve` makes a new one, `reeve restore` one from a backup.");
            return false;
        }

        CheckAccess(diagnosis, folder);
        CheckDisk(diagnosis, folder);
        CheckLock(diagnosis, isServed);
        CheckLeftover(diagnosis, folder);
        CheckLog(diagnosis, new FileInfo(DataFolder.DatabaseIn(folder) + "-wal"));
        if (!File.Exists(DataFolder.DatabaseIn(folder)))
        {
            diagnosis.Problem("database", $"There is no {DataFolder.DatabaseName} in {folder}.",
                "Name the right folder with --data, or put the data back with `reeve restore FILE --data DIR`.");
            return false;
        }

        return true;
    }

    internal static void CheckRoom(Diagnosis diagnosis, long freeBytes, long databaseBytes)
    {
        var (free, database) = (freeBytes >> 20, databaseBytes >> 20);
        var text = string.Create(
            CultureInfo.InvariantCulture, $"{free:N0} MiB free, the database has {database:N0} MiB.");
        if (freeBytes < FreeBytesMin)
        {
            diagnosis.Problem("disk", text, "Make room: without it runs are refused with storage_full.");
        }
        else if (freeBytes < FreeBytesGood || freeBytes < databaseBytes)
        {
            diagnosis.Warn("disk", text, "Make room for at least another copy of the database, which a backup needs.");
        }
        else
        {
            diagnosis.Ok("disk", text);
        }
    }

    private static void CheckAccess(Diagnosis diagnosis, string folder)
    {
        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(folder) & Others) is not UnixFileMode.None)
        {
            diagnosis.Warn("folder", $"Other users of this machine can reach {folder}.", $"Run `chmod 700 {folder}`.");
            return;
        }

        try
        {
            using var probe = new FileStream(Path.Combine(folder, "doctor.tmp"), FileMode.Create, FileAccess.Write,
                FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);
            diagnosis.Ok("folder", $"{folder} is there, its owner's alone, and can be written.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            diagnosis.Problem("folder", $"{folder} cannot be written: {error.Message}",
                "Run this as the user that the server runs as, or give the folder to that user with `chown -R`.");
        }
    }

    private static void CheckDisk(Diagnosis diagnosis, string folder)
    {
        var drive = new DriveInfo(Path.GetFullPath(folder));
        if (NetworkFormats.Contains(drive.DriveFormat, StringComparer.Ordinal))
        {
            diagnosis.Problem("disk", $"{folder} lies on a network file system ({drive.DriveFormat}).",
                "Move the data folder to a local disk: SQLite's locks do not hold elsewhere.");
            return;
        }

        var database = new FileInfo(DataFolder.DatabaseIn(folder));
        CheckRoom(diagnosis, drive.AvailableFreeSpace, database.Exists ? database.Length : 0);
    }

    private static void CheckLock(Diagnosis diagnosis, bool isServed) => diagnosis.Ok("lock",
        isServed ? "A server is running on this folder." : "No server is running on this folder.");

    private static void CheckLeftover(Diagnosis diagnosis, string folder)
    {
        var copy = Path.Combine(folder, BackupWriter.CopyName);
        if (File.Exists(copy) && !DataFolder.IsHeld(copy))
        {
            diagnosis.Warn("leftover", $"{copy} was left by a backup that was killed.",
                "Remove it; the next backup does so, too.");
        }
    }

    private static void CheckLog(Diagnosis diagnosis, FileInfo log)
    {
        var length = log.Exists ? log.Length : 0;
        var text = string.Create(CultureInfo.InvariantCulture, $"The write-ahead log has {length >> 20:N0} MiB.");
        if (length <= 2 * Database.WalRestartBytes)
        {
            diagnosis.Ok("log", text);
        }
        else
        {
            diagnosis.Warn("log", text, "A long read (backup, verify, a database tool) keeps it from being begun anew: "
                + "end that; what is left goes when the server is stopped and started.");
        }
    }
}
