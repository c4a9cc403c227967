using Microsoft.Data.Sqlite;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Process;

/// <summary>
/// <c>reeve doctor</c> on a node that is well, and on one that is unwell in each of the ways it knows.
/// </summary>
public sealed class DoctorProcessTests : IAsyncLifetime
{
    private const string DropTriggers = "DROP TRIGGER run_events_no_delete; DROP TRIGGER run_events_erase_only; "
        + "DROP TRIGGER ledger_entries_no_update; DROP TRIGGER ledger_entries_no_delete;";

    private const long LargeLogBytes = 300L << 20;

    private readonly string _folder = TestServer.NewFolder();

    public async ValueTask InitializeAsync()
    {
        await using var server = await TestServer.StartAsync(
            folder: Path.Combine(_folder, "data"), startTime: TimeProvider.System.GetUtcNow());
        Assert.Equal(200, (await server.Client.PostAsync(
            "/v1/agents/runs", """{"agent":"demo","input":"What is a hold?"}""")).Status);
    }

    public ValueTask DisposeAsync()
    {
        SqliteConnection.ClearAllPools();
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Doctor_OfAHealthyServer_HasNothingToMend()
    {
        await using var server = await ReeveProcess.ServeAsync(_folder);

        var (code, output, errors) = await ReeveProcess.RunAsync(
            _folder, ["doctor", "--data", "data", "--url", server.Url.ToString()]);

        Assert.True(code == 0 && errors.Length == 0, output + errors);
        var lines = output.Split('\n');
        foreach (var line in (string[])
        [
            "ok       configuration: It can be read.", "ok       lock: A server is running on this folder.",
            "ok       database: It opens, and its pages are sound.",
            "ok       master key: master.key is the one of this data.", "ok       open runs: None.",
            "ok       holds: None is open.", "ok       poisoned runs: None in the last 7 days.",
            "ok       logs: 0 violations in 1 runs, 6 events and 2 ledger entries.",
            $"ok       server: {server.Url} takes work.",
        ])
        {
            Assert.True(lines.Contains(line), $"{line}\nis not in\n{output}");
        }

        Assert.Contains(lines, static line => line.StartsWith("ok       schema: 0", StringComparison.Ordinal));

        // How old the runtime of this machine is, and how much room there is, is not the test's.
        Assert.DoesNotContain(lines, static line => line.StartsWith("problem", StringComparison.Ordinal)
            || (line.StartsWith("warning", StringComparison.Ordinal)
                && !line.Contains(" runtime: ", StringComparison.Ordinal)
                && !line.Contains(" disk: ", StringComparison.Ordinal)
                && !line.Contains(" descriptors: ", StringComparison.Ordinal)));
        Assert.Contains("0 problems, ", lines[^2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Doctor_OfWhatIsUnwell_NamesItAndTheWayToMendIt()
    {
        var wrong = new List<string>();
        foreach (var one in Cases)
        {
            var data = Copy();
            one.Make(data);
            using var served = one.IsServed ? DataFolder.Open(data) : null;
            var (code, output, errors) = await ReeveProcess.RunAsync(
                Path.GetDirectoryName(data)!, ["doctor", "--data", "data", .. one.Args ?? []], one.Environment ?? []);
            if (errors.Length > 0 || (code == 1) != output.Contains("\nproblem ", StringComparison.Ordinal)
                || !output.Split('\n').Any(line => line.StartsWith(one.Line, StringComparison.Ordinal)
                    && line.Contains(one.Mend, StringComparison.Ordinal)))
            {
                wrong.Add($"{one.Line} ... {one.Mend} is not in (status {code})\n{output}{errors}");
            }

            served?.Dispose();
            Directory.Delete(Path.GetDirectoryName(data)!, recursive: true);
        }

        Assert.True(wrong.Count == 0, string.Join("\n\n", wrong));
    }

    [Theory]
    [InlineData(63, 1, "problem  disk: 63 MiB free", "Make room: without it runs are refused")]
    [InlineData(500, 1, "warning  disk: 500 MiB free", "another copy of the database")]
    [InlineData(4_000, 5_000, "warning  disk: 4,000 MiB free, the database has 5,000 MiB.", "another copy")]
    [InlineData(6_000, 5_000, "ok       disk: 6,000 MiB free", "")]
    public void Doctor_OfADisk_WarnsBeforeItIsFull(long free, long database, string line, string mend)
    {
        var diagnosis = new Diagnosis();
        FolderDoctor.CheckRoom(diagnosis, free << 20, database << 20);
        var found = Assert.Single(diagnosis.Findings).ToString();
        Assert.StartsWith(line, found, StringComparison.Ordinal);
        Assert.Contains(mend, found, StringComparison.Ordinal);
    }

    [Fact]
    public void Doctor_OfTheProcess_WarnsOfAnOldRuntimeAndOfFewDescriptors()
    {
        var diagnosis = new Diagnosis();
        Doctor.CheckRuntime(diagnosis, new Version(10, 0, 12));
        Doctor.CheckRuntime(diagnosis, new Version(10, 0, 13));
        Doctor.CheckDescriptors(diagnosis, 1_024);
        Doctor.CheckDescriptors(diagnosis, 65_536);

        Assert.Equal([Health.Warning, Health.Ok, Health.Warning, Health.Ok],
            diagnosis.Findings.Select(static finding => finding.Health));
        Assert.Contains("Install the ASP.NET Core runtime 10.0.13", diagnosis.Findings[0].Text,
            StringComparison.Ordinal);
        Assert.Contains("ulimit -n 65536", diagnosis.Findings[2].Text, StringComparison.Ordinal);
    }

    private static readonly Case[] Cases =
    [
        new("problem  folder: data does not exist.", "`reeve restore` one from a backup")
        {
            Make = static data => Directory.Delete(data, recursive: true),
        },
        new("warning  folder: Other users of this machine can reach data.", "chmod 700 data")
        {
            Make = static data => Chmod(data, "755"),
        },
        new("problem  database: There is no reeve.db in data.", "reeve restore FILE")
        {
            Make = static data => File.Delete(DataFolder.DatabaseIn(data)),
        },
        new("problem  database: data/reeve.db cannot be read:", "restore the newest backup")
        {
            Make = static data => File.WriteAllText(DataFolder.DatabaseIn(data), new string('x', 50_000)),
        },
        new("problem  database: It is damaged:", "restore the newest backup")
        {
            Make = static data => Overwrite(DataFolder.DatabaseIn(data), from: 200_000),
        },
        new("problem  schema: The data folder was written by a newer Reeve (it has 0099_later.sql)", "start that")
        {
            Make = static data => Edit(data, "INSERT INTO schema_migrations VALUES ('0099_later.sql', '', 0)"),
        },
        new("problem  master key: The data folder has data but no master.key", "put the file back")
        {
            Make = static data => File.Delete(Path.Combine(data, MasterKey.FileName)),
        },
        new("problem  master key: It is not the one that the data was made with.", "Put the right master.key back")
        {
            Make = static data => File.WriteAllText(
                Path.Combine(data, MasterKey.FileName), Convert.ToBase64String(new byte[32])),
        },
        new("warning  master key: Others than its owner may reach data/master.key.", "chmod 600 data/master.key")
        {
            Make = static data => Chmod(Path.Combine(data, MasterKey.FileName), "644"),
        },
        new("problem  clock: It says ", "Set the clock")
        {
            Make = static data => Edit(data, "UPDATE runs SET created_at = created_at + 864000000"),
        },
        new("problem  configuration: reeve.json: ", "Mend that, or the server does not start.")
        {
            Make = static data => File.WriteAllText(
                Path.Combine(Path.GetDirectoryName(data)!, "reeve.json"), """{"inferense":{}}"""),
        },
        new("warning  listening: http://0.0.0.0:5080 is open to others without TLS", "a reverse proxy with TLS")
        {
            Environment = [("REEVE_URLS", "http://0.0.0.0:5080")],
        },
        new("warning  providers: openai has no API key.", "Set OPENAI_API_KEY")
        {
            Environment = [("OPENAI_BASE_URL", "https://models.example/v1")],
        },
        new("problem  embeddings: retrieval.embeddings names the folder ./nowhere, which does not exist.", "Mend that")
        {
            Make = static data => File.WriteAllText(Path.Combine(Path.GetDirectoryName(data)!, "reeve.json"),
                """{"retrieval":{"embeddings":"./nowhere"}}"""),
        },
        new("warning  failpoints: REEVE_FAILPOINTS is set", "Unset it")
        {
            Environment = [("REEVE_FAILPOINTS", "loop.begun=throw")],
        },
        new("problem  server: http://127.0.0.1:1 does not answer:", "Start the server")
        {
            Args = ["--url", "http://127.0.0.1:1"],
        },
        new("problem  server: here is not an http or https address.", "Name one such as")
        {
            Args = ["--url", "here"],
        },
        new("warning  leftover: data/backup.tmp was left by a backup that was killed.", "Remove it")
        {
            Make = static data => File.WriteAllText(Path.Combine(data, "backup.tmp"), ""),
        },
        new("warning  log: The write-ahead log has 300 MiB.", "end that")
        {
            Make = static data => Lengthen(DataFolder.DatabaseIn(data) + "-wal", LargeLogBytes),
        },
        new("problem  logs: 1 violations, the first: I7 run_", "`reeve verify` lists them.")
        {
            Make = static data => Edit(data, "UPDATE runs SET charged = charged + 1"),
        },
        new("warning  open runs: 1 run is open and no server is running.", "Start the server: it goes on")
        {
            Make = static data => Edit(data, "UPDATE runs SET status = 'running', finished_at = NULL"),
        },
        new("ok       lock: A server is running on this folder.", "")
        {
            IsServed = true,
        },
        new("problem  holds: 1 of 1 open holds are older than an hour (run_", "POST /v1/runs/RUN/cancel")
        {
            IsServed = true,
            Make = static data => Edit(data, "UPDATE runs SET status = 'running', finished_at = NULL; "
                + "INSERT INTO ledger_entries SELECT 'evt_1', account_id, mode, 'hold', 'customer_available', "
                + "'customer_held', 5, -5, 5, id, 9, NULL, NULL, created_at - 3700000 FROM runs"),
        },
        new("warning  poisoned runs: 1 in the last 7 days brought the server down again", "Look in the log")
        {
            Make = static data => Edit(data, DropTriggers + "UPDATE runs SET error_code = 'internal_error'; "
                + "UPDATE run_events SET type = 'run.failed', payload = CAST('{\"cause\":\"poisoned\"}' AS BLOB) "
                + "WHERE type = 'run.completed'"),
        },
        new("warning  poisoned runs: 1 in the last 7 days", "`reeve verify` names what is damaged")
        {
            // As of a confidential run: nothing says why but what nobody can read here.
            Make = static data => Edit(data, DropTriggers + "UPDATE runs SET error_code = 'internal_error'; "
                + "UPDATE run_events SET type = 'run.failed', payload = X'0100000001AB' "
                + "WHERE type = 'run.completed'"),
        },
    ];

    private string Copy()
    {
        var data = Path.Combine(TestServer.NewFolder(), "data");
        Directory.CreateDirectory(data);
        Chmod(data, "700");
        foreach (var file in Directory.GetFiles(Path.Combine(_folder, "data")))
        {
            File.Copy(file, Path.Combine(data, Path.GetFileName(file)));
        }

        return data;
    }

    private static void Chmod(string path, string octal)
    {
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, (UnixFileMode)Convert.ToInt32(octal, 8));
        }
    }

    private static void Overwrite(string path, int from)
    {
        using var file = new FileStream(path, FileMode.Open);
        file.Position = from;
        file.Write(new byte[16_384]);
    }

    private static void Lengthen(string path, long length)
    {
        using var file = new FileStream(path, FileMode.OpenOrCreate);
        file.SetLength(length);
    }

    private static void Edit(string data, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={DataFolder.DatabaseIn(data)};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // The statements are those above.
        command.CommandText = sql;
#pragma warning restore CA2100
        Assert.True(command.ExecuteNonQuery() > 0, sql);
    }

    private sealed record Case(string Line, string Mend)
    {
        internal Action<string> Make { get; init; } = static _ => { };

        internal string[]? Args { get; init; }

        internal (string, string)[]? Environment { get; init; }

        internal bool IsServed { get; init; }
    }
}
