using Microsoft.Data.Sqlite;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Process;

/// <summary>
/// <c>reeve verify</c> as an operator runs it, on folders that are sound and on folders that were edited.
/// </summary>
public sealed class VerifyProcessTests : IAsyncLifetime
{
    private readonly string _folder = TestServer.NewFolder();

    public async ValueTask InitializeAsync()
    {
        await using var model = await MockModel.StartAsync();
        model.Configure(_folder);
        await using var server = await ReeveProcess.ServeAsync(_folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));
        using var user = new StreamUser(() => server.Url);
        var agent = await user.NewAgentAsync();
        using var client = new TestClient(server.Url, TestServer.AdminKey);
        await client.PostAsync(
            $"/v1/agents/{agent}/documents", """{"name":"Opening","text":"The shop opens at nine."}""");
        Assert.True(await user.StartAsync("/v1/agents/runs", agent, "Hi", "one"));
        using var other = new StreamUser(() => server.Url);
        Assert.True(await other.StartAsync("/api/run", agent, "Hi"));

        var beside = await ReeveProcess.VerifyAsync(_folder);
        Assert.True(beside.Code == 0 && beside.Output.StartsWith("0 violations in 2 runs", StringComparison.Ordinal),
            beside.Output + beside.Errors);
        Assert.Equal(0, await server.TerminateAsync());
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Verify_NamesTheInvariant_OfEveryEdit()
    {
        var sound = await ReeveProcess.VerifyAsync(_folder);
        Assert.True(sound.Code == 0 && sound.Output.StartsWith("0 violations in 2 runs", StringComparison.Ordinal),
            sound.Output + sound.Errors);

        var wrong = new List<string>();
        foreach (var (invariant, sql) in Edits)
        {
            var copy = Copy();
            Edit(copy, sql);
            var answer = await ReeveProcess.VerifyAsync(copy);
            var isNamed = answer.Output.Split('\n')
                .Any(line => line.StartsWith(invariant + " ", StringComparison.Ordinal));
            if (answer.Code != 1 || !isNamed || answer.Errors.Length > 0)
            {
                wrong.Add(
                    $"{sql}\n  status {answer.Code}, not 1 and {invariant}:\n{answer.Output}{answer.Errors}");
            }

            Directory.Delete(copy, recursive: true);
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Theory]
    [InlineData("verify", "INT")]
    [InlineData("verify", "TERM")]
    [InlineData("doctor", "INT")]
    public async Task Command_ThatIsInterrupted_EndsAtOnce(string command, string signal)
    {
        if (!OperatingSystem.IsLinux())
        {
            return; // What a process has open is seen there.
        }

        var file = Path.Combine(_folder, "data", DataFolder.DatabaseName);
        using var owner = OpenAlone(file); // Who reads now waits for ten seconds and longer.
        await using var process = ReeveProcess.Begin(
            _folder, [command, "--data", Path.Combine(_folder, "data")]);
        await Eventually.TrueAsync(() => process.HasExited || HasOpen(process.ProcessId, file));
        Assert.False(process.HasExited);
        var start = TimeProvider.System.GetTimestamp();
        await process.SignalAsync(signal);
        await process.ExitAsync();

        Assert.True(TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(5));
    }

    private static SqliteConnection OpenAlone(string file)
    {
        var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE; BEGIN EXCLUSIVE;";
        command.ExecuteNonQuery();
        return connection;
    }

    private static bool HasOpen(int processId, string file)
    {
        try
        {
            return Directory.GetFileSystemEntries($"/proc/{processId}/fd").Any(link =>
                File.ResolveLinkTarget(link, returnFinalTarget: false)?.FullName == file);
        }
        catch (IOException)
        {
            return false; // Something else was closed between the list and the look.
        }
    }

    private static readonly (string Invariant, string Sql)[] Edits =
    [
        // One byte of a payload: inside of a word, and where it is no JSON any more.
        ("I12", "UPDATE run_events SET payload = CAST(replace(CAST(payload AS TEXT), 'coin', 'coim') AS BLOB) "
            + "WHERE type = 'message.delta' AND CAST(payload AS TEXT) LIKE '%coin%'"),
        ("I12", "UPDATE run_events SET payload = CAST('x' || substr(CAST(payload AS TEXT), 2) AS BLOB) WHERE seq = 1"),
        ("I12", "UPDATE run_events SET payload = CAST('[]' AS BLOB) WHERE seq = 2"),
        ("I12", "UPDATE run_events SET payload = CAST('null' AS BLOB) WHERE seq = 1"),
        ("I12", "UPDATE run_events SET payload = NULL WHERE seq = 3"),
        // A hash, whole or by one byte.
        ("I12", "UPDATE run_events SET hash = substr(hash, 1, 31) || CASE substr(hash, 32) WHEN x'00' THEN x'01' "
            + "ELSE x'00' END WHERE seq = 4"),
        ("I12", "UPDATE run_events SET payload_sha256 = zeroblob(32) WHERE seq = 2"),
        ("I12", "UPDATE run_events SET at = at + 1 WHERE seq = 3"),
        ("I12", "UPDATE run_events SET type = 'tool_call.finished' WHERE type = 'message.delta'"),
        ("I12", "DELETE FROM receipts"),
        ("I12", "UPDATE receipts SET document = replace(document, 'standard', 'standbrd')"),
        ("I12", "UPDATE receipts SET document = substr(document, 2)"),
        ("I12", "UPDATE receipts SET created_at = created_at + 1"),
        ("I3", "INSERT INTO run_events SELECT 'run_0', seq, account_id, epoch, type, at, payload, payload_sha256, hash "
            + "FROM run_events WHERE seq = 1 LIMIT 1"),
        ("I4", "UPDATE runs SET input = input || '!'"),
        ("I4", "UPDATE runs SET finished_at = finished_at + 1"),
        ("I4", "UPDATE runs SET outcome = replace(outcome, '1', '2')"),
        ("I5", "UPDATE ledger_entries SET receipt_id = 'rcpt_0' WHERE type = 'settle'"),
        ("I4", "UPDATE runs SET privacy_class = 'protected'"),
        ("I5", "UPDATE ledger_entries SET credit = 'grants' WHERE type = 'settle'"),
        ("I7", "UPDATE model_calls SET model = 'mesh/house-2'"),
        ("I7", "UPDATE model_calls SET output_tokens = output_tokens + 1"),
        ("I7", "UPDATE model_calls SET key_id = 'key_0'"),
        ("I14", "UPDATE settings SET value = value; DROP INDEX runs_account"),
        ("I14", "UPDATE schema_migrations SET sha256 = substr(sha256, 2)"),
        ("I14", "UPDATE agent_versions SET config = replace(config, 'Desk', 'Desl')"),
        ("I14", "UPDATE agents SET version = 2"),
        ("I14", "UPDATE idempotency_records SET run_id = 'run_0'"),
        ("I14", "UPDATE documents SET chunk_count = 2"),
        ("I14", "UPDATE chunks SET text = replace(text, 'nine', 'none')"),
        ("I14", "UPDATE chunks SET stop = stop + 1"),
        ("I14", "UPDATE chunks SET account_id = 'acct_0'"),
        ("I14", "UPDATE search_postings SET term = term || 'x'"),
        ("I14", "UPDATE search_postings SET postings = substr(postings, 1, length(postings) - 1) || x'09'"),
        ("I14", "UPDATE search_terms SET terms = replace(terms, 'shop', 'shot')"),
        ("I14", "UPDATE search_indexes SET term_count = term_count + 1"),
        ("I14", "UPDATE search_terms SET part = part + 1"),
        ("I14", "UPDATE search_blocks SET chunk_count = chunk_count + 1"),
        ("I14", "UPDATE search_blocks SET block = block + 1"),
        // What only the signature covers, and what a run leaves behind.
        ("I12", "UPDATE receipts SET document = replace(document, '\"provider\":\"house\"', '\"provider\":\"other\"')"),
        ("I12", "UPDATE receipts SET document = '[]'"),
        ("I3", "DELETE FROM runs"),
        ("I9", "UPDATE run_events SET epoch = 9 WHERE seq = 2"),
        ("I3", "DELETE FROM run_events WHERE seq = 3"),
        ("I2", "DELETE FROM run_events WHERE type = 'run.completed'"),
        ("I2", "UPDATE runs SET status = 'failed'"),
        ("I4", "UPDATE runs SET output = output || '!'"),
        ("I7", "UPDATE runs SET charged = charged - 1"),
        ("I5", "UPDATE ledger_entries SET amount = amount + 1 WHERE type = 'settle'"),
        ("I5", "UPDATE ledger_entries SET balance = balance + 1 WHERE type = 'hold'"),
        ("I5", "DELETE FROM ledger_entries WHERE type = 'topup'"),
        ("I6", "DELETE FROM ledger_entries WHERE type = 'release'"),
        ("I5", "UPDATE balances SET available = available + 1 WHERE mode = 'live'"),
        ("I5", "UPDATE balances SET held = held + 1 WHERE mode = 'live'"),
    ];

    private string Copy()
    {
        var copy = TestServer.NewFolder();
        Directory.CreateDirectory(Path.Combine(copy, "data"));
        foreach (var file in Directory.GetFiles(Path.Combine(_folder, "data")))
        {
            File.Copy(file, Path.Combine(copy, "data", Path.GetFileName(file)));
        }

        return copy;
    }

    private static void Edit(string folder, string sql)
    {
        var file = Directory.GetFiles(Path.Combine(folder, "data"), "*.db").Single();
        using var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        const string OfTriggers = "FROM sqlite_master WHERE type = 'trigger'";
        var drop = Ask($"SELECT group_concat('DROP TRIGGER ' || name, ';') {OfTriggers}");
        var again = Ask($"SELECT group_concat(sql, ';') {OfTriggers}");
        Assert.True((long)Ask($"{drop}; {sql}; SELECT changes()") > 0, $"{sql} changed nothing.");
        Ask($"{again}; SELECT 1"); // Without them it would be another schema.

        object Ask(string statements)
        {
            using var command = connection.CreateCommand();
#pragma warning disable CA2100 // The statements are those above.
            command.CommandText = statements;
#pragma warning restore CA2100
            return command.ExecuteScalar()!;
        }
    }
}
