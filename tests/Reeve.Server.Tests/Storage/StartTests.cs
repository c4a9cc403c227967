using Microsoft.Extensions.Logging.Abstractions;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Storage;

public sealed class StartTests : IDisposable
{
    private readonly string _folder = TestServer.NewFolder();

    [Fact]
    public async Task Start_OnAFolderInUse_IsRefusedAndPossibleAfterwards()
    {
        var first = await TestServer.StartAsync(folder: _folder);

        var error = await Assert.ThrowsAsync<StartException>(() => TestServer.StartAsync(folder: _folder));
        Assert.Equal($"Another server is running on the data folder {_folder}.", error.Message);

        await first.StopAsync();
        await (await TestServer.StartAsync(folder: _folder)).StopAsync();
    }

    [Fact]
    public async Task Start_InANewFolder_KeepsItToItsOwner()
    {
        var path = Path.Combine(_folder, "deep", "data");
        await (await TestServer.StartAsync(folder: path)).StopAsync();

        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
                File.GetUnixFileMode(path));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite,
                File.GetUnixFileMode(DataFolder.DatabaseIn(path)));
        }
    }

    [Fact]
    public async Task Start_WhereAFileStands_IsRefusedInOneSentence()
    {
        var path = Path.Combine(_folder, "file");
        await File.WriteAllTextAsync(path, "", TestContext.Current.CancellationToken);

        var error = await Assert.ThrowsAsync<StartException>(() => TestServer.StartAsync(folder: path));

        Assert.StartsWith($"The data folder {path} cannot be", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_OnAFileThatIsNoDatabase_IsRefusedInOneSentence()
    {
        await (await TestServer.StartAsync(folder: _folder)).StopAsync();
        await File.WriteAllTextAsync(
            DataFolder.DatabaseIn(_folder), new string('x', 8_192), TestContext.Current.CancellationToken);

        var error = await Assert.ThrowsAsync<StartException>(() => TestServer.StartAsync(folder: _folder));

        Assert.Contains("cannot be used", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2025-12-31T23:59:59Z", "which cannot be")]
    [InlineData("2026-11-20T09:13:59Z", "but the newest data is of 2026-11-20 09:15")]
    public async Task Start_WithAClockThatCannotBe_IsRefused(string now, string reason)
    {
        var server = await TestServer.StartAsync(folder: _folder);
        await server.Database.WriteAsync(session => session.Execute(
            "INSERT INTO ledger_entries (id, account_id, mode, type, debit, credit, amount, change, balance, "
            + "created_at) VALUES ('evt_1', 'a', 'live', 'grant', 'grants', 'customer_available', 1, 1, 1, $1)",
            server.Time.GetUtcNow().ToUnixTimeMilliseconds()));
        await server.StopAsync();

        var error = await Assert.ThrowsAsync<StartException>(() => TestServer.StartAsync(
            folder: _folder, startTime: DateTimeOffset.Parse(now, System.Globalization.CultureInfo.InvariantCulture)));

        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Migrations_AppliedTwice_ChangeNothing()
    {
        using var database = new Database(
            Path.Combine(_folder, "test.db"), NullLogger<Database>.Instance, TimeProvider.System);

        Migrator.Apply(database.Setup, TimeProvider.System);
        Migrator.Apply(database.Setup, TimeProvider.System);

        Assert.True(database.Setup.Count("SELECT COUNT(*) FROM schema_migrations") > 0);
    }

    [Fact]
    public void Migrations_OfANewerServer_AreRefused()
    {
        using var database = new Database(
            Path.Combine(_folder, "test.db"), NullLogger<Database>.Instance, TimeProvider.System);
        Migrator.Apply(database.Setup, TimeProvider.System);
        database.Setup.Execute("INSERT INTO schema_migrations VALUES ('9999_future.sql', '', 0)");

        var error = Assert.Throws<StorageException>(() => Migrator.Apply(database.Setup, TimeProvider.System));

        Assert.Contains("newer Reeve", error.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
