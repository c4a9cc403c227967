using System.Globalization;
using Reeve.Reliability.Load;
using Reeve.Reliability.Simulation;
using Reeve.Server;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Process;

namespace Reeve.Reliability.Disk;

/// <summary>
/// A byte of a database made by real runs is changed. <c>reeve verify</c> says so, or no row has changed, or what has
/// changed the file says once alone. On every tenth such file a server is started: it refuses in one sentence, or
/// answers with what was written or with an error. It never crashes or hangs, and never streams another log than the
/// one written.
/// </summary>
internal sealed class DamagedFile
{
    private const int ServedEvery = 10;

    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Columns that nothing else in the file repeats or hashes, so that nobody can tell a changed value from a true
    /// one: what operators and users chose, times, requests and their names, the signs and small words of documents.
    /// </summary>
    private static readonly HashSet<string> SaidOnce = new(StringComparer.Ordinal)
    {
        "accounts.name", "accounts.plan", "accounts.status", "accounts.is_operator", "accounts.limits",
        "accounts.metadata", "accounts.created_at", "api_keys.name", "api_keys.kind", "api_keys.scopes",
        "api_keys.last_four", "api_keys.limits", "api_keys.agent_id", "api_keys.allowed_origins",
        "api_keys.created_at", "api_keys.last_used_at", "api_keys.expires_at", "api_keys.revoked_at",
        "agents.created_at", "agents.updated_at", "agents.conversation_count", "agent_versions.created_at",
        "conversations.title", "conversations.status", "conversations.user_id", "conversations.user",
        "conversations.metadata", "conversations.created_at", "conversations.updated_at", "runs.request_id",
        "runs.ordinal", "runs.user_id", "runs.cancel_requested_at", "ledger_entries.created_at", "ledger_entries.note",
        "idempotency_records.route", "idempotency_records.key", "idempotency_records.fingerprint",
        "idempotency_records.created_at", "documents.name", "documents.mime_type", "documents.bytes",
        "documents.sha256", "documents.status", "documents.privacy_class", "documents.metadata",
        "documents.created_at", "documents.updated_at", "chunks.headings", "chunks.text", "chunks.page",
        "key_months.month", "key_months.requests", "key_months.tokens", "low_balances.at", "request_log.account_id",
        "request_log.request_id", "request_log.key_id", "request_log.method", "request_log.path", "request_log.status",
        "request_log.code", "request_log.run_id", "request_log.latency", "request_log.created_at",
        "search_indexes.open_block", "settings.name", "settings.value",
        "schema_migrations.applied_at",
    };

    private readonly LoadedServer _server;
    private readonly string[] _paths;
    private readonly DatabaseRows _rows;
    private readonly Dictionary<string, string> _answers = [];
    private readonly List<string> _problems = [];
    private readonly SortedDictionary<string, int> _once = new(StringComparer.Ordinal);
    private int _seen;
    private int _unused;
    private int _refusedStarts;
    private int _served;
    private int _errors;

    private DamagedFile(LoadedServer server, string[] runs)
    {
        _server = server;
        _rows = DatabaseRows.Read(DatabaseIn(server.Folder))!;
        _paths =
        [
            "/v1/accounts/me", "/v1/runs", "/v1/ledger", "/v1/agents", $"/v1/agents/{server.AgentId}/documents",
            .. runs.SelectMany(static id => new[] { $"/v1/runs/{id}", EventsOf(id) }),
        ];
    }

    internal static async Task<(string Figures, List<string> Problems)> RunAsync(int count, ulong seed)
    {
        using var model = new RawModel(TimeSpan.Zero);
        await using var server = new LoadedServer(model);
        await server.StartAsync();
        using var load = new DiskLoad(server, "sound");
        await load.ProgressAsync(60);
        await load.FinishAsync();
        await server.Process.TerminateAsync();
        var damage = new DamagedFile(server, load.Runs);
        await damage.LearnAsync();
        var random = new SimRandom(seed);
        for (var i = 0; i < count; i++)
        {
            await damage.TryAsync(random, isServed: i % ServedEvery == 0);
        }

        return (damage.Figures(count), [.. load.Problems, .. damage._problems]);
    }

    private string Figures(int count) => string.Create(CultureInfo.InvariantCulture,
        $"{count} bytes changed: {_seen} seen by verify, {_unused} in no row, {_once.Values.Sum()} not covered "
        + $"({string.Join(", ", _once.Select(static pair => $"{pair.Key} {pair.Value}"))}); {_served} servers on such "
        + $"files, {_refusedStarts} refused to start, {_errors} answers were errors");

    private static string EventsOf(string runId) => $"/v1/runs/{runId}/events";

    private static string DatabaseIn(string folder) => Path.Combine(folder, "data", "reeve.db");

    private string Copy()
    {
        var copy = TestServer.NewFolder();
        File.Copy(Path.Combine(_server.Folder, "reeve.json"), Path.Combine(copy, "reeve.json"));
        var data = Directory.CreateDirectory(Path.Combine(copy, "data")).FullName;
        foreach (var file in Directory.GetFiles(Path.Combine(_server.Folder, "data")))
        {
            File.Copy(file, Path.Combine(data, Path.GetFileName(file)));
        }

        return copy;
    }

    private async Task TryAsync(SimRandom random, bool isServed)
    {
        var copy = Copy();
        try
        {
            var name = Flip(DatabaseIn(copy), random);
            var isHarmless = false;
            if (await IsSeenAsync(Path.Combine(copy, "data"), name))
            {
                _seen++;
            }
            else
            {
                isHarmless = CountUnseen(name, DatabaseRows.Read(DatabaseIn(copy)));
            }

            if (isServed)
            {
                _served++;
                await ServeAsync(copy, name, (path, answer) => Check($"{name}: GET {path}", path, answer, isHarmless));
            }
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    /// <summary>True when no row has changed.</summary>
    private bool CountUnseen(string name, DatabaseRows? now)
    {
        if (now is null)
        {
            _problems.Add($"{name}: verify finds nothing, but the rows cannot be read");
            return false;
        }

        var columns = _rows.Differences(now);
        _unused += columns.Count == 0 ? 1 : 0;
        foreach (var column in columns)
        {
            _once[column] = _once.GetValueOrDefault(column) + 1;
            if (!SaidOnce.Contains(column))
            {
                _problems.Add($"{name}: verify finds nothing, but {column} has changed");
            }
        }

        return columns.Count == 0;
    }

    private static string Flip(string path, SimRandom random)
    {
        using var file = File.Open(path, FileMode.Open, FileAccess.ReadWrite);
        var offset = (long)(random.Next() % (ulong)file.Length);
        file.Position = offset;
        var before = file.ReadByte();
        var after = before ^ (1 + random.Below(255));
        file.Position = offset;
        file.WriteByte((byte)after);
        return string.Create(CultureInfo.InvariantCulture, $"byte {offset} from {before:x2} to {after:x2}");
    }

    private async Task<bool> IsSeenAsync(string data, string name)
    {
        try
        {
            return await DataCommands.VerifyAsync(data, TextWriter.Null) != 0;
        }
        catch (StartException)
        {
            return true;
        }
#pragma warning disable CA1031 // Whatever else it is, verify did not expect it.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _problems.Add($"{name}: verify broke: {error}");
            return true;
        }
    }

    /// <summary>What a server on the sound file answers.</summary>
    private async Task LearnAsync()
    {
        var copy = Copy();
        try
        {
            await ServeAsync(copy, "the sound file", (path, answer) => _answers[path] = answer.Text);
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    private void Check(string what, string path, TestAnswer answer, bool isHarmless)
    {
        _errors += answer.Status == 200 ? 0 : 1;
        if (answer.Status == 200 && answer.Text != _answers[path]
            && (isHarmless || path.EndsWith("/events", StringComparison.Ordinal)))
        {
            _problems.Add($"{what} answers\n{answer.Text}\nand should answer\n{_answers[path]}");
        }
    }

    private async Task ServeAsync(string folder, string name, Action<string, TestAnswer> check)
    {
        await using var process = ReeveProcess.Launch(folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));
        try
        {
            if (!await process.IsReadyAsync())
            {
                _refusedStarts++;
                if (process.Errors.Contains("   at ", StringComparison.Ordinal))
                {
                    _problems.Add($"{name}: the start broke: {process.Errors}");
                }

                return;
            }

            using var client = new TestClient(process.Url, TestServer.AdminKey);
            foreach (var path in _paths)
            {
                await AnswersAsync($"{name}: GET {path}", client.GetAsync(path), answer => check(path, answer));
            }

            var run = $$"""{"agent":"{{_server.AgentId}}","input":"Hi"}""";
            await AnswersAsync($"{name}: POST", client.PostAsync("/v1/agents/runs", run), static _ => { });
            if (process.HasExited || await process.TerminateAsync().WaitAsync(AnswerMax) is not 0)
            {
                _problems.Add($"{name}: the server did not live to its end: {process.Errors}");
            }
        }
        catch (TimeoutException)
        {
            _problems.Add($"{name}: the start or the stop hangs");
        }
    }

    private async Task AnswersAsync(string what, Task<TestAnswer> asking, Action<TestAnswer> check)
    {
        try
        {
            check(await asking.WaitAsync(AnswerMax));
        }
        catch (TimeoutException)
        {
            _problems.Add($"{what} hangs");
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            _errors++; // A stream that cannot go on is cut; that is an answer. Whether the process lives is seen later.
        }
    }
}
