using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;
using Reeve.Reliability.Simulation;
using Reeve.Server.Storage;
using Reeve.Server.Storage.Backups;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Process;

namespace Reeve.Reliability.Backup;

/// <summary>
/// One round: a busy server with one run in the middle of its answer; backups of it that are killed; one that is not;
/// the server killed; the backup restored beside it, verified, and served: what had been acknowledged before the backup
/// is there, the open run goes on byte for byte, new runs work, and the sums are right.
/// </summary>
internal sealed class BackupRound(ulong seed, BackupFigures figures) : IAsyncDisposable
{
    private const string Secret = "correct horse battery staple";
    private const int BallastMebibytesMax = 40;
    private const int Clients = 4;
    private const int RunsBefore = 10;

    private readonly SimRandom _random = new(seed);
    private readonly string _folder = TestServer.NewFolder();
    private readonly string _other = TestServer.NewFolder();
    private readonly ConcurrentDictionary<string, string> _done = new();
    private readonly object _gate = new();
    private volatile bool _isBackingUp;

    /// <summary>What the round was at, for whoever reads of a violation.</summary>
    internal string Step { get; private set; } = "";

    private string Data => Path.Combine(_folder, "data");

    private string Restored => Path.Combine(_other, "data");

    private string BackupFile => Path.Combine(_folder, "round.backup");

    internal async Task RunAsync()
    {
        var isEncrypted = _random.Chance(50);
        await using var model = await MockModel.StartAsync();
        model.Configure(_folder);
        model.Configure(_other);
        Step = "filling up";
        await (await ServeAsync(_folder)).TerminateAsync();
        FillUp(1 + _random.Below(BallastMebibytesMax));

        var current = await ServeAsync(_folder);
        using var user = new StreamUser(() => current.Url);
        var agent = await user.NewAgentAsync();
        var streaming = user.StartAsync("/v1/agents/runs", agent, "please wait");
        await Eventually.TrueAsync(
            () => streaming.IsCompleted || user.Text.Contains("Every ", StringComparison.Ordinal));
        Dictionary<string, string> before;
        await using (current)
        {
            using var stop = new CancellationTokenSource();
            Task[] load = [.. Enumerable.Range(0, Clients).Select(_ => RunsAsync(current.Url, agent, stop.Token))];
            await Eventually.TrueAsync(() => _done.Count >= RunsBefore);
            Step = "killing backups";
            await KillSomeAsync(isEncrypted);
            Step = "backing up";
            before = new Dictionary<string, string>(_done);
            _isBackingUp = true;
            await DoneAsync(_folder, BackupArgs(isEncrypted));
            _isBackingUp = false;
            Assert.Empty(Directory.GetFiles(Data, "backup*"));
            await stop.CancelAsync();
            await Task.WhenAll(load);
            await current.KillAsync();
        }

        Assert.False(await streaming);
        var seen = user.Text;
        model.Gate.TrySetResult();
        Step = "restoring";
        Assert.Contains("\n0 violations in ", await RestoreAsync(BackupFile, isEncrypted), StringComparison.Ordinal);

        Step = "going on";
        current = await ServeAsync(_other);
        await using (current)
        {
            while (!await user.ResumeAsync())
            {
            }

            Assert.StartsWith(seen, user.Text, StringComparison.Ordinal);
            Assert.Equal(await user.ReplayAsync(), user.Text);
            using var client = new TestClient(current.Url, TestServer.AdminKey);
            await FindAsync(client, before);
            Assert.Equal(200, (await RunAsync(client, agent)).Status);
            Assert.Equal(0, (await client.GetAsync("/v1/accounts/me")).Json.GetProperty("held_usd").GetDecimal());
            await DoneAsync(_other, ["doctor", "--data", Restored, "--url", current.Url.ToString()]);
        }

        Step = "verifying";
        Assert.StartsWith("0 violations in ", await DoneAsync(_other, ["verify", "--data", Restored]),
            StringComparison.Ordinal);
        figures.Backups++;
        figures.Encrypted += isEncrypted ? 1 : 0;
        figures.Runs += before.Count;
        figures.Mebibytes += new FileInfo(BackupFile).Length >> 20;
    }

    public ValueTask DisposeAsync()
    {
        SqliteConnection.ClearAllPools();
        Directory.Delete(_folder, recursive: true);
        Directory.Delete(_other, recursive: true);
        return ValueTask.CompletedTask;
    }

    /// <summary>Kills backups when their copy or their file has come to a chosen length.</summary>
    private async Task KillSomeAsync(bool isEncrypted)
    {
        var size = new FileInfo(DataFolder.DatabaseIn(Data)).Length;
        var copy = new FileInfo(Path.Combine(Data, BackupWriter.CopyName));
        var partial = new FileInfo(BackupFile + ".partial");
        for (var left = 1 + _random.Below(2); left > 0; left--)
        {
            var (being, length) = (_random.Pick([copy, partial]), size * _random.Below(100) / 100);
            await using (var backup = ReeveProcess.Begin(_folder, BackupArgs(isEncrypted)))
            {
                await Eventually.TrueAsync(() => backup.HasExited || LengthOf(being) >= length);
                await backup.KillAsync();
            }

            if (File.Exists(BackupFile))
            {
                // It was done before it was killed; then it has to be whole.
                await RestoreAsync(BackupFile, isEncrypted);
                Directory.Delete(Restored, recursive: true);
                File.Delete(BackupFile);
                continue;
            }

            figures.Kills++;
            partial.Refresh();
            if (partial.Exists)
            {
                var answer = await ReeveProcess.RunAsync(
                    _other, RestoreArgs(partial.FullName), Passphrases(isEncrypted));
                Assert.True(answer.Code == 1, $"Half a backup was restored: {answer.Output}");
                Assert.False(Directory.Exists(Restored));
            }
        }
    }

    private static async Task FindAsync(TestClient client, Dictionary<string, string> runs)
    {
        foreach (var (run, receipt) in runs)
        {
            var shown = await client.GetAsync($"/v1/runs/{run}");
            Assert.True(shown.Status == 200, $"{run} was acknowledged before the backup and is lost: {shown.Text}");
            Assert.Equal(MockModel.Answer, shown.Json.GetProperty("output").GetString());
            Assert.Equal(receipt, (await client.GetAsync($"/v1/runs/{run}/receipt")).Text);
        }
    }

    private async Task RunsAsync(Uri url, string agent, CancellationToken stop)
    {
        using var client = new TestClient(url, TestServer.AdminKey);
        while (!stop.IsCancellationRequested)
        {
            var (isBeside, start) = (_isBackingUp, TimeProvider.System.GetTimestamp());
            var answer = await RunAsync(client, agent);
            var took = TimeProvider.System.GetElapsedTime(start);
            Assert.True(answer.Status == 200, answer.Text);
            var run = answer.Json.GetProperty("run_id").GetString()!;
            _done[run] = (await client.GetAsync($"/v1/runs/{run}/receipt")).Text;
            lock (_gate)
            {
                if (isBeside)
                {
                    figures.SlowestBeside = took > figures.SlowestBeside ? took : figures.SlowestBeside;
                }
                else if (!_isBackingUp)
                {
                    figures.SlowestElse = took > figures.SlowestElse ? took : figures.SlowestElse;
                }
            }
        }
    }

    // So large that a backup takes long enough to be killed at a chosen place.
    private void FillUp(int mebibytes)
    {
        using var connection = new SqliteConnection($"Data Source={DataFolder.DatabaseIn(Data)};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "
            + "INSERT INTO settings SELECT 'ballast' || i, hex(randomblob(524288)) FROM n";
        command.Parameters.AddWithValue("$1", mebibytes);
        command.ExecuteNonQuery();
    }

    private string[] BackupArgs(bool isEncrypted)
    {
        File.WriteAllText(Path.Combine(_folder, "passphrase"), Secret + "\n");
        return
        [
            "backup", "--data", Data, "--out", BackupFile,
            .. isEncrypted ? (string[])["--passphrase-file", Path.Combine(_folder, "passphrase")] : ["--with-keys"],
        ];
    }

    private string[] RestoreArgs(string file) => ["restore", file, "--data", Restored];

    private static (string, string)[] Passphrases(bool isEncrypted) =>
        isEncrypted ? [(Passphrase.Variable, Secret)] : [];

    private Task<string> RestoreAsync(string file, bool isEncrypted) =>
        DoneAsync(_other, RestoreArgs(file), Passphrases(isEncrypted));

    private static async Task<string> DoneAsync(
        string folder, string[] args, params (string Name, string Value)[] environment)
    {
        var (code, output, errors) = await ReeveProcess.RunAsync(folder, args, environment);
        Assert.True(code == 0, $"{args[0]} ended with {code}: {output}{errors}");
        return output;
    }

    private static long LengthOf(FileInfo file)
    {
        file.Refresh();
        return file.Exists ? file.Length : -1;
    }

    private static Task<ReeveProcess> ServeAsync(string folder) =>
        ReeveProcess.ServeAsync(folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));

    private static Task<TestAnswer> RunAsync(TestClient client, string agent) =>
        client.PostAsync("/v1/agents/runs", $$"""{"agent":"{{agent}}","input":"Hi"}""");
}
