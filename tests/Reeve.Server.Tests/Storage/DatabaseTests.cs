using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Reeve.Server.Storage;
using SQLitePCL;

namespace Reeve.Server.Tests.Storage;

public sealed class DatabaseTests : IDisposable
{
    private readonly string _folder = TestServer.NewFolder();
    private readonly HandClock _clock = new();
    private readonly Database _database;

    public DatabaseTests()
    {
        _database = Open();
        _database.Setup.Execute("CREATE TABLE t (id INTEGER PRIMARY KEY)");
        _database.Start();
    }

    [Fact]
    public async Task Write_OfManyCallers_SharesCommitsAndKeepsEverything()
    {
        using var hold = new ManualResetEventSlim();
        var first = _database.WriteAsync(_ => hold.Wait(TestContext.Current.CancellationToken));

        var writes = Enumerable.Range(1, 1_000).Select(Insert).ToList();
        hold.Set();
        await Task.WhenAll([first, .. writes]).WaitAsync(TestServer.Timeout, TestContext.Current.CancellationToken);

        Assert.Equal(1_000, Rows());
        Assert.InRange(_database.CommitCount, 2, 4); // At most 512 pieces of work a commit.
    }

    [Fact]
    public async Task Write_ThatThrowsBeforeItWrites_FailsAlone()
    {
        var (before, failed, after) = await BatchAsync(static _ => throw new InvalidOperationException("refused"));

        await before;
        await after;
        Assert.Equal("refused", (await Assert.ThrowsAsync<InvalidOperationException>(() => failed)).Message);
        Assert.Equal(2, Rows());
    }

    [Fact]
    public async Task Write_ThatThrowsAfterItWrote_IsUndoneAndTheOthersSurvive()
    {
        var (before, failed, after) = await BatchAsync(static session =>
        {
            session.Execute("INSERT INTO t VALUES (99)");
            throw new InvalidOperationException("too late");
        });

        await before;
        await after;
        await Assert.ThrowsAsync<InvalidOperationException>(() => failed);
        Assert.Equal(2, Rows());
    }

    [Fact]
    public async Task Write_ThatBreaksAConstraint_IsUndoneAndTheOthersSurvive()
    {
        var (before, failed, after) = await BatchAsync(static session => session.Execute("INSERT INTO t VALUES (1)"));

        await before;
        await after;
        Assert.Equal(StorageFault.Unavailable, (await Assert.ThrowsAsync<StorageException>(() => failed)).Fault);
        Assert.Equal(2, Rows());
    }

    [Fact]
    public async Task Read_WhileAWriteIsOpen_SeesTheCommittedStateOnly()
    {
        using var wrote = new ManualResetEventSlim();
        using var hold = new ManualResetEventSlim();
        var write = _database.WriteAsync(session =>
        {
            session.Execute("INSERT INTO t VALUES (1)");
            wrote.Set();
            hold.Wait(TestContext.Current.CancellationToken);
        });
        wrote.Wait(TestContext.Current.CancellationToken);

        Assert.Equal(0, Rows());
        hold.Set();
        await write;
        Assert.Equal(1, Rows());
    }

    /// <summary>A backup or a verify of a busy server reads one snapshot for long.</summary>
    [Fact]
    public async Task Write_WhileAReadTakesLong_DoesNotWaitForItWhenTheLogIsLarge()
    {
        const int CommitsBetweenLooks = 64; // At the length of the log, of which this makes 192 MiB.
        var cancellationToken = TestContext.Current.CancellationToken;
        await _database.WriteAsync(static session => session.Execute("CREATE TABLE b (content BLOB)"));
        using var done = new ManualResetEventSlim();
        var reading = Task.Run(() => _database.Read(session =>
        {
            var rows = session.Count("SELECT COUNT(*) FROM t");
            done.Wait(cancellationToken);
            return rows;
        }), cancellationToken);
        var longest = TimeSpan.Zero;
        for (var commits = 0; commits <= CommitsBetweenLooks; commits++)
        {
            var start = TimeProvider.System.GetTimestamp();
            await _database.WriteAsync(static session =>
                session.Execute("INSERT INTO b VALUES (zeroblob(3 << 20))"));
            var took = TimeProvider.System.GetElapsedTime(start);
            longest = took > longest ? took : longest;
        }

        done.Set();
        await reading;
        Assert.True(longest < TimeSpan.FromSeconds(8), $"A write took {longest}."); // Waiting, it took 10 s.
    }

    [Fact]
    public void Read_ThatWrites_IsRefused() => Assert.Throws<StorageException>(() =>
        _database.Read(static session => session.Execute("INSERT INTO t VALUES (1)")));

    [Fact]
    public async Task Dispose_WithWorkQueued_FinishesItAndRefusesMore()
    {
        var writes = Enumerable.Range(1, 100).Select(Insert).ToList();

        _database.Dispose();
        await Task.WhenAll(writes).WaitAsync(TestServer.Timeout, TestContext.Current.CancellationToken);

        await Assert.ThrowsAsync<StorageException>(() => Insert(101));
        using var again = Open();
        Assert.Equal(100, again.Setup.Count("SELECT COUNT(*) FROM t"));
    }

    [Fact]
    public void Setup_OfANewDatabase_SyncsEveryCommit()
    {
        Assert.Equal(2, _database.Setup.Count("PRAGMA synchronous"));
        Assert.Equal("wal", _database.Setup.Single("PRAGMA journal_mode", static row => row.GetString(0)));
        Assert.Equal(1, _database.Setup.Count("PRAGMA secure_delete"));
    }

    public void Dispose()
    {
        _database.Dispose();
        SqliteConnection.ClearAllPools();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Dispose_WithNothingToDo_WaitsForBothThreads()
    {
        for (var i = 0; i < 1_000; i++)
        {
            var database = Open();
            database.Start();
            Thread.Yield();
            database.Dispose();

            Assert.False(database.IsRunning);
        }
    }

    [Fact]
    public async Task IsSlow_WhileACommitTakesLong_AndInTheOneAfter_ButNotBetweenThem()
    {
        using var entered = new SemaphoreSlim(0);
        using var leave = new SemaphoreSlim(0);
        raw.sqlite3_commit_hook(_database.Setup.Connection.Handle!, _ =>
        {
            entered.Release();
            return leave.Wait(TestServer.Timeout) ? 0 : 1;
        }, null!);

        Assert.Equal((false, true), await CommitAsync(1, TimeSpan.FromSeconds(2)));
        Assert.False(_database.IsSlow); // Nothing is being committed: somebody may find out.
        Assert.Equal((true, true), await CommitAsync(2, TimeSpan.FromSeconds(1)));
        Assert.Equal((false, false), await CommitAsync(3, TimeSpan.FromSeconds(1)));

        async Task<(bool Before, bool After)> CommitAsync(int id, TimeSpan takes)
        {
            var write = Insert(id);
            Assert.True(await entered.WaitAsync(TestServer.Timeout, TestContext.Current.CancellationToken));
            var before = _database.IsSlow;
            _clock.Advance(takes);
            var after = _database.IsSlow;
            leave.Release();
            await write;
            return (before, after);
        }
    }

    // Three pieces of work that meet in one transaction.
    private async Task<(Task Before, Task Failed, Task After)> BatchAsync(Action<DbSession> broken)
    {
        using var hold = new ManualResetEventSlim();
        var first = _database.WriteAsync(_ => hold.Wait(TestContext.Current.CancellationToken));
        var batch = (Insert(1), _database.WriteAsync(broken), Insert(2));
        hold.Set();
        await first;
        return batch;
    }

    private Task Insert(int id) => _database.WriteAsync(session => session.Execute("INSERT INTO t VALUES ($1)", id));

    private long Rows() => _database.Read(static session => session.Count("SELECT COUNT(*) FROM t"));

    private Database Open() => new(Path.Combine(_folder, "test.db"), NullLogger<Database>.Instance, _clock);

    /// <summary>Stands still until it is moved.</summary>
    private sealed class HandClock : TimeProvider
    {
        private long _ticks = 1;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Volatile.Read(ref _ticks);

        internal void Advance(TimeSpan by) => Interlocked.Add(ref _ticks, by.Ticks);
    }
}
