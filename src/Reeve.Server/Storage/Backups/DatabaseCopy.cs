using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Reeve.Server.Storage.Backups;

/// <summary>
/// Copies a database that may be in use into an empty file: pages of one snapshot, which no writer waits for.
/// </summary>
/// <remarks>
/// The read transaction pins the snapshot. Without it SQLite begins such a copy anew after each commit of another
/// process, and beside a busy server it would never end. What is written meanwhile stays in the write-ahead log, which
/// grows by so much. (docs/decisions/0018)
/// </remarks>
internal static class DatabaseCopy
{
    private const int PagesPerStep = 1_024;

    /// <summary>Room that the server needs for itself while there is a second copy on its disk.</summary>
    private const long ReserveBytes = 64L << 20;

    internal static void Make(string source, PartialFile target, CancellationToken cancellationToken) =>
        Database.ReadOnce(source, session =>
        {
            var bytes = session.Count("PRAGMA page_size") * session.Count("PRAGMA page_count"); // The snapshot begins.
            RequireRoom(target.FilePath, bytes);
            using var copy = new SqliteConnection(new SqliteConnectionStringBuilder
            {
                DataSource = target.FilePath,
                Pooling = false,
            }.ToString());
            copy.Open();
            using (var command = copy.CreateCommand())
            {
                command.CommandText = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"; // Flushed below.
                command.ExecuteNonQuery();
            }

            Copy(session.Connection, copy, target, cancellationToken);
            return bytes;
        });

    /// <summary>Reads a copy that nobody writes to, without the files that SQLite would put beside it.</summary>
    internal static T Read<T>(string path, Func<DbSession, T> work)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = $"file:{Uri.EscapeDataString(path).Replace("%2F", "/", StringComparison.Ordinal)}?immutable=1",
            Mode = SqliteOpenMode.ReadOnly,
            Pooling = false,
        }.ToString());
        connection.Open();
        using var session = new DbSession(connection);
        return work(session);
    }

    private static void Copy(
        SqliteConnection source, SqliteConnection copy, PartialFile target, CancellationToken cancellationToken)
    {
        using var backup = raw.sqlite3_backup_init(copy.Handle!, "main", source.Handle!, "main");
        if (backup.IsInvalid)
        {
            throw Failed(copy);
        }

        int code;
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            code = raw.sqlite3_backup_step(backup, PagesPerStep);
            RandomAccess.FlushToDisk(target.Stream.SafeFileHandle); // In small pieces, as in PartialFile.
        }
        while (code == raw.SQLITE_OK);

        if (code != raw.SQLITE_DONE || raw.sqlite3_backup_finish(backup) != raw.SQLITE_OK)
        {
            throw Failed(copy);
        }
    }

    private static SqliteException Failed(SqliteConnection copy) => new(
        raw.sqlite3_errmsg(copy.Handle!).utf8_to_string(), raw.sqlite3_errcode(copy.Handle!));

    private static void RequireRoom(string path, long bytes)
    {
        var free = new DriveInfo(Path.GetDirectoryName(Path.GetFullPath(path))!).AvailableFreeSpace;
        if (free < bytes + ReserveBytes)
        {
            throw new BackupException(
                $"The data folder's disk has {free >> 20} MiB free; a backup needs {(bytes + ReserveBytes) >> 20} MiB "
                + "there while it runs. Make room first.");
        }
    }
}
