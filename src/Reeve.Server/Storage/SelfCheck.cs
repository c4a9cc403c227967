using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Reeve.Server.Storage;

/// <summary>What must be true before a server takes work; each failure is one sentence for the operator.</summary>
internal static partial class SelfCheck
{
    /// <summary>Older ones can corrupt a WAL that two connections write and checkpoint.</summary>
    internal static readonly Version SqliteFloor = new(3, 51, 3);

    /// <summary>ASP.NET Core before it has published vulnerabilities.</summary>
    internal static readonly Version RuntimeFloor = new(10, 0, 13);

    /// <summary>What <c>PRAGMA synchronous</c> says when each commit is flushed.</summary>
    internal const int SynchronousFull = 2;

    /// <summary>A clock before it was never set.</summary>
    internal const int YearMin = 2026;

    /// <summary>Clocks are set back by a little in ordinary operation.</summary>
    internal static readonly TimeSpan ClockTolerance = TimeSpan.FromMinutes(1);

    /// <summary>Checks the engine, before anything is written.</summary>
    internal static void Engine(DbSession session)
    {
        var version = session.Single("SELECT sqlite_version()", static row => row.GetString(0))!;
        if (Version.Parse(version) < SqliteFloor)
        {
            throw new StartException($"SQLite {version} can damage data; {SqliteFloor} or newer is needed.");
        }

        Require(session.Single("PRAGMA journal_mode", static row => row.GetString(0)) == "wal",
            "The database is not in WAL mode; the data folder must lie on a local disk.");
        Require(session.Count("PRAGMA synchronous") == SynchronousFull,
            "The database does not run with synchronous=FULL.");
    }

    /// <summary>The newest ids of the tables whose order is that of their ids.</summary>
    internal static IEnumerable<string> NewestIds(DbSession session) =>
    [
        .. session.List("SELECT max(id) FROM runs", static row => row.StringOrNull(0)).OfType<string>(),
        .. session.List("SELECT max(id) FROM ledger_entries", static row => row.StringOrNull(0)).OfType<string>(),
        .. session.List("SELECT max(event_id) FROM webhook_deliveries", static row => row.StringOrNull(0))
            .OfType<string>(),
    ];

    /// <summary>When the newest data was made; the epoch when there is none.</summary>
    internal static DateTimeOffset Newest(DbSession session) => DateTimeOffset.FromUnixTimeMilliseconds(Math.Max(
        session.Count("SELECT created_at FROM runs ORDER BY id DESC LIMIT 1"),
        session.Count("SELECT created_at FROM ledger_entries ORDER BY id DESC LIMIT 1")));

    /// <summary>Checks, after the migrations, that the database takes writes and that the clock can be right.</summary>
    internal static void Data(DbSession session, TimeProvider time)
    {
        var now = time.GetUtcNow();
        Require(now.Year >= YearMin, string.Create(CultureInfo.InvariantCulture,
            $"The clock says {now:yyyy-MM-dd HH:mm} UTC, which cannot be; set it first."));
        try
        {
            session.Execute("INSERT INTO settings (name, value) VALUES ($1, $2) "
                + "ON CONFLICT (name) DO UPDATE SET value = excluded.value", "last_start", now.ToString("O"));
        }
        catch (SqliteException error)
        {
            throw new StartException($"The database does not take writes: {error.Message}.", error);
        }

        var newest = Newest(session);
        Require(now >= newest - ClockTolerance, string.Create(CultureInfo.InvariantCulture,
            $"The clock says {now:yyyy-MM-dd HH:mm} UTC, but the newest data is of {newest:yyyy-MM-dd HH:mm}; "
            + $"set it first."));
    }

    /// <summary>Warns of a runtime with known holes.</summary>
    internal static void Runtime(ILogger logger)
    {
        if (Environment.Version < RuntimeFloor)
        {
            LogOldRuntime(logger, Environment.Version, RuntimeFloor);
        }
    }

    private static void Require(bool condition, string complaint)
    {
        if (!condition)
        {
            throw new StartException(complaint);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning,
        Message = ".NET {Version} has published vulnerabilities; install {Floor} or newer.")]
    private static partial void LogOldRuntime(ILogger logger, Version version, Version floor);
}
