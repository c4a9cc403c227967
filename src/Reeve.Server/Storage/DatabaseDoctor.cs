using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Reeve.Server.Storage;

/// <summary>The checks of <c>reeve doctor</c> on the database as a file, its schema and its key.</summary>
internal static class DatabaseDoctor
{
    internal const string GoBack =
        "Stop the server, keep the folder, and restore the newest backup with `reeve restore FILE --data NEW`.";

    /// <summary>True when what is in the database can be read with this version.</summary>
    internal static bool Check(
        Diagnosis diagnosis, string folder, string? masterKeyFromEnvironment, bool isServed, DateTimeOffset now)
    {
        var path = DataFolder.DatabaseIn(folder);
        try
        {
            return Database.ReadOnce(path, session =>
            {
                var isSound = CheckPages(diagnosis, session);
                CheckEngine(diagnosis, session, isServed);
                if (!CheckSchema(diagnosis, session))
                {
                    return false;
                }

                CheckKey(diagnosis, session, folder, masterKeyFromEnvironment);
                CheckClock(diagnosis, now, SelfCheck.Newest(session));
                return isSound;
            });
        }
        catch (SqliteException error)
        {
            diagnosis.Problem("database", $"{path} cannot be read: {error.Message}.", GoBack);
            return false;
        }
    }

    private static bool CheckPages(Diagnosis diagnosis, DbSession session)
    {
        var found = session.Single("PRAGMA quick_check(1)", static row => row.GetString(0));
        if (found == "ok")
        {
            diagnosis.Ok("database", "It opens, and its pages are sound.");
            return true;
        }

        diagnosis.Problem("database", $"It is damaged: {found?.ReplaceLineEndings(" ")}.", GoBack);
        return false;
    }

    private static void CheckEngine(Diagnosis diagnosis, DbSession session, bool isServed)
    {
        var version = session.Single("SELECT sqlite_version()", static row => row.GetString(0))!;
        var mode = session.Single("PRAGMA journal_mode", static row => row.GetString(0));
        var synchronous = session.Count("PRAGMA synchronous");
        if (Version.Parse(version) < SelfCheck.SqliteFloor)
        {
            diagnosis.Problem("sqlite", $"SQLite {version} can damage data.",
                $"Install a build of Reeve with {SelfCheck.SqliteFloor} or newer.");
        }
        else if (mode != "wal" && isServed)
        {
            diagnosis.Problem("sqlite", $"The database is in {mode} mode under a running server.",
                "Move the data folder to a local disk and restart the server, which sets WAL mode.");
        }
        else if (synchronous != SelfCheck.SynchronousFull)
        {
            diagnosis.Problem("sqlite", $"SQLite runs with synchronous={synchronous}: a power failure could lose data.",
                "Use the SQLite that Reeve brings along.");
        }
        else
        {
            diagnosis.Ok("sqlite", mode == "wal"
                ? $"{version}, write-ahead log, synchronous=FULL."
                : $"{version}, synchronous=FULL; the next start switches the write-ahead log on.");
        }
    }

    private static bool CheckSchema(Diagnosis diagnosis, DbSession session)
    {
        try
        {
            var applied = Migrator.RequireKnown(session);
            diagnosis.Ok("schema", $"{applied.LastOrDefault() ?? "none yet"}.");
            return applied.Count > 0;
        }
        catch (StorageException error)
        {
            diagnosis.Problem("schema", error.Message, "Or restore a backup that was made with this version.");
            return false;
        }
    }

    private static void CheckKey(Diagnosis diagnosis, DbSession session, string folder, string? fromEnvironment)
    {
        var path = Path.Combine(folder, MasterKey.FileName);
        try
        {
            var key = MasterKey.Load(folder, fromEnvironment, dataExists: true);
            if (!key.Matches(session))
            {
                diagnosis.Problem("master key", "It is not the one that the data was made with.",
                    $"Put the right {MasterKey.FileName} back, or set {MasterKey.Variable} to the right one.");
                return;
            }
        }
        catch (StartException error)
        {
            diagnosis.Problem("master key", error.Message, "A backup made with keys has it: see `reeve restore`.");
            return;
        }

        if (!OperatingSystem.IsWindows() && File.Exists(path)
            && File.GetUnixFileMode(path) != (UnixFileMode.UserRead | UnixFileMode.UserWrite))
        {
            diagnosis.Warn("master key", $"Others than its owner may reach {path}.", $"Run `chmod 600 {path}`.");
        }
        else
        {
            diagnosis.Ok("master key", string.IsNullOrEmpty(fromEnvironment)
                ? $"{MasterKey.FileName} is the one of this data."
                : $"{MasterKey.Variable} is the one of this data.");
        }
    }

    private static void CheckClock(Diagnosis diagnosis, DateTimeOffset now, DateTimeOffset newest)
    {
        var text = string.Create(CultureInfo.InvariantCulture,
            $"It says {now:yyyy-MM-dd HH:mm} UTC, the newest data is of {newest:yyyy-MM-dd HH:mm}.");
        if (now < newest - SelfCheck.ClockTolerance || now.Year < SelfCheck.YearMin)
        {
            diagnosis.Problem("clock", text, "Set the clock; until then no server starts on this data.");
        }
        else
        {
            diagnosis.Ok("clock", text);
        }
    }
}
