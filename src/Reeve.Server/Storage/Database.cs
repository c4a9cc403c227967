using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Reeve.Server.Storage;

/// <summary>
/// The SQLite file: one writer that commits in groups, and pooled readers.
/// </summary>
/// <remarks>
/// Group commit, without a timer: the writer's thread takes whatever is queued, executes it as one transaction, commits
/// (fsync), wakes the waiters and repeats. An idle server commits at once, a busy one batches. Work that throws before
/// its first write fails alone; work that throws after it rolls the batch back, and the others are executed again one
/// by one. Checkpoints run on a connection of their own, off the commit path, unless the WAL grows past a bound.
/// </remarks>
internal sealed partial class Database : IDisposable
{
    private const int BatchMax = 512;
    private const long WritesBetweenCheckpoints = 20_000; // The file's length tells nothing: it never shrinks.
    private const int BusyMilliseconds = 10_000;

    /// <summary>A write-ahead log longer than this is begun anew as soon as no read needs it.</summary>
    internal const long WalRestartBytes = 128L << 20;

    private static readonly TimeSpan SlowCommit = TimeSpan.FromSeconds(1);

    private readonly string _connectionString;
    private readonly string _walPath;
    private readonly DbSession _writer;
    private readonly ConcurrentBag<DbSession> _readers = [];
    private readonly Thread _thread;
    private readonly object _gate = new();
    private readonly ILogger<Database> _logger;
    private readonly TimeProvider _time;
    private readonly Failpoints _failpoints;
    private readonly ContentKeys? _keys;
    private readonly ManualResetEventSlim _checkpointWanted = new();
    private readonly Thread _checkpointer;
    private List<DbWrite> _queue = [];
    private List<DbWrite> _batch = [];
    private volatile bool _stopping;
    private long _writesAtCheckpoint;
    private long _commitBegun; // 0: none is under way.
    private volatile bool _wasSlow;

    // Each connection here belongs to one thread at a time, so SQLite need not lock, and nobody reads its statistics.
    static Database()
    {
        Batteries_V2.Init();
        _ = raw.sqlite3_config(raw.SQLITE_CONFIG_MULTITHREAD);
        _ = raw.sqlite3_config(raw.SQLITE_CONFIG_MEMSTATUS, 0);
    }

    /// <param name="path">The file.</param>
    /// <param name="logger">Hears of writes that failed.</param>
    /// <param name="time">By which commits are slow.</param>
    /// <param name="failpoints">Where tests break in; none when left out.</param>
    /// <param name="vfs">The name of SQLite's file system; its own for the platform when left out.</param>
    /// <param name="keys">Of encrypted content, which can be neither read nor written without them.</param>
    internal Database(
        string path, ILogger<Database> logger, TimeProvider time, Failpoints? failpoints = null, string? vfs = null,
        ContentKeys? keys = null)
    {
        (_logger, _time, _keys) = (logger, time, keys);
        _failpoints = failpoints ?? Failpoints.Off;
        _walPath = path + "-wal";
        _connectionString = ConnectionString(path, vfs);
        _writer = new DbSession(Open("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; "
            + "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-16384;"))
        {
            Keys = keys,
        };
        _thread = new Thread(WriteLoop) { IsBackground = true, Name = "reeve-writer" };
        _checkpointer = new Thread(CheckpointLoop) { IsBackground = true, Name = "reeve-checkpoint" };
    }

    /// <summary>Commits so far; with the rows a second it tells how well the group commit batches.</summary>
    internal long CommitCount { get; private set; }

    /// <summary>False after a transaction that failed, until one succeeds again.</summary>
    internal bool TakesWrites { get; private set; } = true;

    /// <summary>
    /// True while a commit takes longer than a second, or follows one that did: the disk does not keep up, and what is
    /// queued would only wait. When nothing is being committed somebody is let through, to find out.
    /// </summary>
    internal bool IsSlow => Volatile.Read(ref _commitBegun) is var begun && begun != 0
        && (_wasSlow || _time.GetElapsedTime(begun) > SlowCommit);

    /// <summary>Writes something harmless, to learn whether the database takes writes.</summary>
    internal Task ProbeAsync() => WriteAsync(static session => session.Execute(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        "probe", ""));

    /// <summary>The writer's own connection, for use before <see cref="Start"/> alone (migrations, checks).</summary>
    internal DbSession Setup => _writer;

    /// <summary>True from <see cref="Start"/> until <see cref="Dispose"/> has come to its end.</summary>
    internal bool IsRunning => _thread.IsAlive || _checkpointer.IsAlive;

    internal void Start()
    {
        _thread.Start();
        _checkpointer.Start();
    }

    /// <summary>Executes in the next transaction; completes when it is durable.</summary>
    internal Task<T> WriteAsync<T>(Func<DbSession, T> work)
    {
        var write = new DbWrite<T>(work);
        Enqueue(write);
        return write.Task;
    }

    internal Task WriteAsync(Action<DbSession> work) => WriteAsync(session =>
    {
        work(session);
        return true;
    });

    internal void Enqueue(DbWrite write)
    {
        lock (_gate)
        {
            if (!_stopping)
            {
                _queue.Add(write);
                if (_queue.Count == 1)
                {
                    Monitor.Pulse(_gate);
                }

                return;
            }
        }

        write.Failed(new StorageException(StorageFault.Unavailable, "The server is stopping."));
    }

    /// <summary>Reads on the calling thread from one consistent snapshot.</summary>
    internal T Read<T>(Func<DbSession, T> work)
    {
        if (!_readers.TryTake(out var session))
        {
            session = new DbSession(Open("PRAGMA query_only=ON; PRAGMA cache_size=-2048;"))
            {
                Keys = _keys,
            };
        }

        try
        {
            session.Begin();
            var result = work(session);
            session.Commit();
            _readers.Add(session);
            return result;
        }
        catch (SqliteException error)
        {
            session.Dispose();
            throw Translate(error);
        }
        catch
        {
            session.Rollback();
            _readers.Add(session);
            throw;
        }
    }

    /// <summary>Reads a database that this process does not own, from one snapshot and without writing to it.</summary>
    internal static T ReadOnce<T>(string path, Func<DbSession, T> work)
    {
        using var session = OpenOnce(path);
        session.Begin();
        var result = work(session);
        session.Commit();
        return result;
    }

    private static DbSession OpenOnce(string path)
    {
        const string ReadOnly = "PRAGMA query_only=ON;";
        var session = new DbSession(Open(ConnectionString(path), ReadOnly));
        try
        {
            _ = session.Count("SELECT count(*) FROM sqlite_master"); // Opens the files.
            return session;
        }
        catch (SqliteException error)
        {
            session.Dispose();
            if (error.SqliteErrorCode != raw.SQLITE_CANTOPEN || File.Exists(path + "-wal"))
            {
                throw;
            }
        }

        // On a read-only disk a reader cannot make the file through which it meets a writer. There is none: without a
        // write-ahead log, the database is whole by itself.
        var alone = $"file:{Uri.EscapeDataString(Path.GetFullPath(path))}?immutable=1";
        return new DbSession(Open(ConnectionString(alone), ReadOnly));
    }

    /// <summary>Finishes what is queued, then closes every connection.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_stopping)
            {
                return;
            }

            _stopping = true;
            Monitor.PulseAll(_gate);
        }

        _checkpointWanted.Set();
        foreach (var thread in (ReadOnlySpan<Thread>)[_thread, _checkpointer])
        {
            // One may be over while the other is not, and before the start there is none to wait for.
            if (!thread.ThreadState.HasFlag(ThreadState.Unstarted))
            {
                thread.Join();
            }
        }

        while (_readers.TryTake(out var session))
        {
            session.Dispose();
        }

        _writer.Dispose();
        _checkpointWanted.Dispose();
    }

    private static string ConnectionString(string path, string? vfs = null) => new SqliteConnectionStringBuilder
    {
        DataSource = path,
        Pooling = false,
        DefaultTimeout = 30,
        Vfs = vfs,
    }.ToString();

    private SqliteConnection Open(string pragmas) => Open(_connectionString, pragmas);

    private static SqliteConnection Open(string connectionString, string pragmas)
    {
        var connection = new SqliteConnection(connectionString);
        connection.Open();
        _ = raw.sqlite3_busy_timeout(connection.Handle!, BusyMilliseconds);
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this class.
        command.CommandText = "PRAGMA foreign_keys=ON; PRAGMA mmap_size=0; "
            + "PRAGMA temp_store=MEMORY; " + pragmas;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
        return connection;
    }

    private void WriteLoop()
    {
        while (WaitForWork())
        {
            CommitQueued();
        }
    }

    /// <summary>False: the server stops and nothing is queued any more.</summary>
    private bool WaitForWork()
    {
        lock (_gate)
        {
            while (_queue.Count == 0)
            {
                if (_stopping)
                {
                    return false;
                }

                Monitor.Wait(_gate);
            }

            return true;
        }
    }

    /// <summary>True when the writer has something to do.</summary>
    internal bool HasQueued
    {
        get
        {
            lock (_gate)
            {
                return _queue.Count > 0;
            }
        }
    }

    /// <summary>
    /// Commits all that is queued: the turn of the writer, which its thread takes, or who runs the server without
    /// threads of its own.
    /// </summary>
    internal void CommitQueued()
    {
        lock (_gate)
        {
            (_batch, _queue) = (_queue, _batch);
        }

        for (var start = 0; start < _batch.Count; start += BatchMax)
        {
            Commit(_batch.GetRange(start, Math.Min(BatchMax, _batch.Count - start)));
        }

        _batch.Clear();
        WatchWal();
    }

    private void Commit(List<DbWrite> batch)
    {
        var failed = new List<(DbWrite Write, Exception Error)>();
        try
        {
            _writer.BeginImmediate();
            _failpoints.Hit(Failpoints.StorageBegun);
            foreach (var write in batch)
            {
                var before = _writer.WriteCount;
                try
                {
                    write.Execute(_writer);
                }
                catch (Exception error) when (error is not SqliteException && before == _writer.WriteCount)
                {
                    failed.Add((write, error)); // Refused before it wrote: nothing to undo.
                }
            }

            _failpoints.Hit(Failpoints.StorageBeforeCommit);
            Flush();
            CommitCount++;
            TakesWrites = true;
        }
#pragma warning disable CA1031 // Whatever it was, the transaction is gone and every waiter must be told.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _writer.Rollback();
            if (batch.Count == 1)
            {
                if (error is SqliteException)
                {
                    TakesWrites = false;
                    LogWriteFailed(error);
                }

                batch[0].Failed(error is SqliteException sqlite ? Translate(sqlite) : error);
                return;
            }

            foreach (var write in batch)
            {
                Commit([write]);
            }

            return;
        }

        _failpoints.Hit(Failpoints.StorageCommitted);
        foreach (var (write, error) in failed)
        {
            write.Failed(error);
            batch.Remove(write);
        }

        foreach (var write in batch)
        {
            write.Committed();
            _failpoints.Hit(Failpoints.StorageToldSome);
        }
    }

    // The disk alone is timed, not the work before: that may take long by its nature.
    private void Flush()
    {
        var begun = _time.GetTimestamp();
        Volatile.Write(ref _commitBegun, begun);
        try
        {
            _writer.Commit();
        }
        finally
        {
            _wasSlow = _time.GetElapsedTime(begun) > SlowCommit;
            Volatile.Write(ref _commitBegun, 0);
        }
    }

    private void WatchWal()
    {
        if (CommitCount % 64 != 0)
        {
            return;
        }

        var wal = new FileInfo(_walPath);
        var bytes = wal.Exists ? wal.Length : 0;
        if (bytes > WalRestartBytes)
        {
            RestartWal();
        }
        else if (_writer.WriteCount - _writesAtCheckpoint > WritesBetweenCheckpoints)
        {
            _writesAtCheckpoint = _writer.WriteCount;
            _checkpointWanted.Set();
        }
    }

    // Without waiting: one long read (a backup, a verify) would hold up every run. The log grows until that read ends.
    private void RestartWal()
    {
        var handle = _writer.Connection.Handle!;
        _ = raw.sqlite3_busy_timeout(handle, 0);
        var code = raw.sqlite3_wal_checkpoint_v2(handle, "main", raw.SQLITE_CHECKPOINT_TRUNCATE, out _, out _);
        _ = raw.sqlite3_busy_timeout(handle, BusyMilliseconds);
        if (code is not (raw.SQLITE_OK or raw.SQLITE_BUSY))
        {
            LogCheckpointFailed(new SqliteException(raw.sqlite3_errmsg(handle).utf8_to_string(), code & 0xff, code));
        }
    }

    private void CheckpointLoop()
    {
        while (true)
        {
            _checkpointWanted.Wait();
            if (_stopping)
            {
                return;
            }

            _checkpointWanted.Reset();
            Checkpoint();
        }
    }

    /// <summary>
    /// Moves what was committed from the log into the file, as far as no reader is in the way, on a connection of its
    /// own: commits go on meanwhile.
    /// </summary>
    internal void Checkpoint()
    {
        try
        {
            using var session = new DbSession(Open(""));
            _failpoints.Hit(Failpoints.StorageBeforeCheckpoint);
            session.Single("PRAGMA wal_checkpoint(PASSIVE)", static row => row.GetInt64(0));
            _failpoints.Hit(Failpoints.StorageCheckpointed);
        }
        catch (SqliteException error)
        {
            LogCheckpointFailed(error);
        }
    }

    private static StorageException Translate(SqliteException error) => error.SqliteErrorCode switch
    {
        raw.SQLITE_FULL => new StorageException(StorageFault.Full, "The disk is full; nothing was kept.", error),
        raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB =>
            new StorageException(StorageFault.Damaged, "The database is damaged; `reeve doctor` says more.", error),
        _ => new StorageException(StorageFault.Unavailable, "The database does not take this work now.", error),
    };

    [LoggerMessage(Level = LogLevel.Error, Message = "A write to the database failed; nothing of it was kept.")]
    private partial void LogWriteFailed(Exception error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A checkpoint of the database failed; it is tried again.")]
    private partial void LogCheckpointFailed(Exception error);
}
