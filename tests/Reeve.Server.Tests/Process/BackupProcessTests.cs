using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using NSec.Cryptography;
using Reeve.Server.Receipts;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Storage;
using Reeve.Server.Storage.Backups;

namespace Reeve.Server.Tests.Process;

/// <summary><c>reeve backup</c> and <c>reeve restore</c> as an operator runs them.</summary>
public sealed class BackupProcessTests : IDisposable
{
    private const string Secret = "correct horse battery staple";
    private const int BallastMebibytes = 48;

    private readonly string _folder = TestServer.NewFolder();
    private readonly string _other = TestServer.NewFolder();

    private string Data => Path.Combine(_folder, "data");

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        Directory.Delete(_folder, recursive: true);
        Directory.Delete(_other, recursive: true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Backup_BesideABusyServer_RestoresToAServerThatGoesOn(bool isEncrypted)
    {
        await using var model = await MockModel.StartAsync();
        model.Configure(_folder);
        model.Configure(_other);
        var file = Path.Combine(_folder, "one.backup");
        Dictionary<string, string> before;
        string openRun;
        await using (var server = await ServeAsync(_folder))
        {
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            var agent = await NewAgentAsync(client);
            openRun = await StartOpenAsync(client, agent);
            using var stop = new CancellationTokenSource();
            var done = new ConcurrentDictionary<string, string>();
            Task[] load = [.. Enumerable.Range(0, 4).Select(_ => RunsAsync(server.Url, agent, done, stop.Token))];
            await Eventually.TrueAsync(() => done.Count >= 20);
            before = new Dictionary<string, string>(done);

            var made = await BackupAsync(file, isEncrypted);
            Assert.True(made.Code == 0, made.Output + made.Errors);
            await Eventually.TrueAsync(() => done.Count >= before.Count + 20); // And the server goes on.
            await stop.CancelAsync();
            await Task.WhenAll(load);
            await server.KillAsync();
        }

        model.Gate.TrySetResult();
        Assert.Empty(Directory.GetFiles(_folder, "*.partial"));
        Assert.Empty(Directory.GetFiles(Data, "backup*"));
        var restored = await RestoreAsync(file, isEncrypted);
        Assert.True(restored.Code == 0 && restored.Output.Contains("\n0 violations in ", StringComparison.Ordinal),
            restored.Output + restored.Errors);

        await using (var server = await ServeAsync(_other))
        {
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            await AssertRunsAsync(client, before);
            await EndedAsync(client, openRun);
            Assert.Equal(200, (await RunAsync(client, await NewAgentAsync(client))).Status);
            Assert.Equal(0, (await client.GetAsync("/v1/accounts/me")).Json.GetProperty("held_usd").GetDecimal());
        }

        var verified = await ReeveProcess.VerifyAsync(_other);
        Assert.True(verified.Code == 0 && verified.Output.StartsWith("0 violations", StringComparison.Ordinal),
            verified.Output + verified.Errors);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Backup_Killed_LeavesNothingThatLooksLikeOne(bool isEncrypted)
    {
        await (await TestServer.StartAsync(folder: Data)).StopAsync();
        FillUp();
        await using var server = await ServeAsync(_folder);
        var file = Path.Combine(_folder, "killed.backup");
        var copy = new FileInfo(Path.Combine(Data, BackupWriter.CopyName));
        var partial = new FileInfo(file + ".partial");
        var kills = 0;
        foreach (var (being, mebibytes) in ((FileInfo, int)[])
            [(copy, 0), (copy, 1), (copy, BallastMebibytes / 2), (partial, 0), (partial, 1),
            (partial, BallastMebibytes / 2), (partial, BallastMebibytes - 4)])
        {
            await using (var backup = ReeveProcess.Begin(_folder, BackupArgs(file, isEncrypted)))
            {
                await Eventually.TrueAsync(() => backup.HasExited || LengthOf(being) >= mebibytes << 20);
                await backup.KillAsync();
            }

            if (File.Exists(file)) // It was done before it was killed: then it is whole.
            {
                Assert.Equal(0, (await RestoreAsync(file, isEncrypted)).Code);
                Directory.Delete(Path.Combine(_other, "data"), recursive: true);
                File.Delete(file);
                continue;
            }

            kills++;
            if (File.Exists(partial.FullName))
            {
                var (code, _, errors) = await RestoreAsync(partial.FullName, isEncrypted);
                Assert.Equal(1, code);
                Assert.Equal(1, errors.Count(static one => one == '\n'));
                Assert.Empty(Directory.GetFileSystemEntries(_other, "*", new EnumerationOptions
                {
                    AttributesToSkip = 0,
                }));
            }
        }

        Assert.True(kills >= 4, $"Only {kills} of the kills came in time.");
        var made = await BackupAsync(file, isEncrypted);
        Assert.True(made.Code == 0, made.Errors);
        Assert.Empty(Directory.GetFiles(_folder, "*.partial"));
        Assert.Empty(Directory.GetFiles(Data, "backup*"));
        Assert.Equal(0, (await RestoreAsync(file, isEncrypted)).Code);
    }

    [Fact]
    public async Task Restore_OfWhatIsNoGoodBackup_SaysWhyAndLeavesNothing()
    {
        await (await TestServer.StartAsync(folder: Data)).StopAsync();
        var (plain, encrypted) = (Path.Combine(_folder, "plain"), Path.Combine(_folder, "encrypted"));
        Assert.Equal(0, (await BackupAsync(plain, isEncrypted: false)).Code);
        Assert.Equal(0, (await BackupAsync(encrypted, isEncrypted: true)).Code);
        var bytes = await File.ReadAllBytesAsync(plain, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(Named("cut"), bytes[..^1], TestContext.Current.CancellationToken);
        bytes[bytes.Length / 2] ^= 1;
        await File.WriteAllBytesAsync(Named("changed"), bytes, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Named("foreign"), new string('x', 5_000), TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Named("wrong"), "not the passphrase", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Named("short"), "short", TestContext.Current.CancellationToken);

        (string[] Args, string Sentence)[] cases =
        [
            (["restore", Named("cut")], "is cut off: its end is missing, so it cannot be used."),
            (["restore", Named("changed")], "was changed after the backup was made; it cannot be used."),
            (["restore", Named("foreign")], "is not a backup made by reeve."),
            (["restore", Named("none")], "The backup could not be restored: Could not find file"),
            (["restore", encrypted], "is encrypted: give its passphrase with --passphrase-file or "),
            (["restore", encrypted, "--passphrase-file", Named("wrong")], "The passphrase is not the one of"),
            (["restore", encrypted, "--passphrase-file", Named("none")], "cannot be read: Could not find file"),
            (["backup", "--out", Named("new"), "--passphrase-file", Named("short")], "at least 12 characters."),
            (["backup", "--out", Named("new")], "There is no database in "),
        ];
        foreach (var (args, sentence) in cases)
        {
            var (code, output, errors) = await ReeveProcess.RunAsync(
                _folder, [.. args, "--data", Path.Combine(_other, "data")]);
            Assert.True(code == 1 && output.Length == 0 && errors.Contains(sentence, StringComparison.Ordinal)
                && errors.Count(static one => one == '\n') == 1, $"{string.Join(' ', args)}: {code} {output}{errors}");
            Assert.Empty(Directory.GetFileSystemEntries(_other, "*", new EnumerationOptions { AttributesToSkip = 0 }));
            Assert.False(File.Exists(Named("new")));
        }

        string Named(string name) => Path.Combine(_folder, name);
    }

    private static long LengthOf(FileInfo file)
    {
        file.Refresh();
        return file.Exists ? file.Length : -1;
    }

    // So large that a backup takes long enough to be killed at a chosen place.
    private void FillUp()
    {
        using var connection = new SqliteConnection($"Data Source={DataFolder.DatabaseIn(Data)};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "
            + "INSERT INTO settings SELECT 'ballast' || i, hex(randomblob(524288)) FROM n";
        command.Parameters.AddWithValue("$1", BallastMebibytes);
        command.ExecuteNonQuery();
    }

    private string[] BackupArgs(string file, bool isEncrypted)
    {
        File.WriteAllText(Path.Combine(_folder, "passphrase"), Secret + "\n");
        return
        [
            "backup", "--data", Data, "--out", file,
            .. isEncrypted ? (string[])["--passphrase-file", Path.Combine(_folder, "passphrase")] : ["--with-keys"],
        ];
    }

    private Task<(int Code, string Output, string Errors)> BackupAsync(string file, bool isEncrypted) =>
        ReeveProcess.RunAsync(_folder, BackupArgs(file, isEncrypted));

    private Task<(int Code, string Output, string Errors)> RestoreAsync(string file, bool isEncrypted) =>
        ReeveProcess.RunAsync(_other, ["restore", file, "--data", Path.Combine(_other, "data")],
            isEncrypted ? [(Passphrase.Variable, Secret)] : []);

    private static Task<ReeveProcess> ServeAsync(string folder) =>
        ReeveProcess.ServeAsync(folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));

    private static async Task<string> NewAgentAsync(TestClient client) =>
        (await client.PostAsync("/v1/agents", """{"name":"Desk","model":"mesh/house-1"}""")).Json
        .GetProperty("id").GetString()!;

    private static Task<TestAnswer> RunAsync(TestClient client, string agent) =>
        client.PostAsync("/v1/agents/runs", $$"""{"agent":"{{agent}}","input":"Hi"}""");

    /// <summary>A run that stands in the middle of its answer until the model's gate opens.</summary>
    private static async Task<string> StartOpenAsync(TestClient client, string agent)
    {
        var answer = await client.PostAsync(
            "/v1/agents/runs", $$"""{"agent":"{{agent}}","input":"please wait","background":true}""");
        Assert.Equal(202, answer.Status);
        return answer.Json.GetProperty("run_id").GetString()!;
    }

    private static async Task RunsAsync(
        Uri url, string agent, ConcurrentDictionary<string, string> done, CancellationToken stop)
    {
        using var client = new TestClient(url, TestServer.AdminKey);
        while (!stop.IsCancellationRequested)
        {
            var answer = await RunAsync(client, agent);
            Assert.True(answer.Status == 200, answer.Text);
            done[answer.Json.GetProperty("run_id").GetString()!] = answer.Json.GetProperty("receipt_id").GetString()!;
        }
    }

    private async Task AssertRunsAsync(TestClient client, Dictionary<string, string> runs)
    {
        var key = MasterKey.Load(Path.Combine(_other, "data"), null, dataExists: true);
        using var ring = Database.ReadOnce(DataFolder.DatabaseIn(Path.Combine(_other, "data")),
            session => KeyRing.Open(session, key));
        var publicKey = PublicKey.Import(SignatureAlgorithm.Ed25519, ring.Signer.PublicKey, KeyBlobFormat.RawPublicKey);
        foreach (var (run, receiptId) in runs)
        {
            var shown = await client.GetAsync($"/v1/runs/{run}");
            Assert.True(shown.Status == 200, $"{run} was acknowledged before the backup and is lost: {shown.Text}");
            Assert.Equal(MockModel.Answer, shown.Json.GetProperty("output").GetString());
            var receipt = (await client.GetAsync($"/v1/receipts/{receiptId}")).Json;
            Assert.True(SignatureAlgorithm.Ed25519.Verify(publicKey, CanonicalJson.Serialize(receipt, "signature"),
                Base64Url.DecodeFromChars(receipt.GetProperty("signature").GetString())), receiptId);
        }
    }

    private static async Task EndedAsync(TestClient client, string run)
    {
        JsonElement shown;
        do
        {
            shown = (await client.GetAsync($"/v1/runs/{run}")).Json;
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
        }
        while (shown.GetProperty("status").GetString() is "queued" or "running");
        Assert.Equal(MockModel.Answer, shown.GetProperty("output").GetString());
    }
}
