using System.Globalization;
using System.Text;
using Microsoft.Data.Sqlite;
using Reeve.Reliability.Load;
using Reeve.Server.Accounts;
using Reeve.Server.Storage;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>A key to call with, and whose ids it sees.</summary>
internal sealed record ApiCaller(string Name, string Key, IReadOnlyList<string> Scopes, bool IsOperator, ApiIds Ids)
{
    internal required string AccountId { get; init; }

    internal bool IsTest { get; init; }

    /// <summary>True when the key may call the operation as far as scopes go.</summary>
    internal bool May(ApiOperation operation) => operation.IsPublic || operation.Scopes!.Count == 0
        || Scopes.Contains("admin") || operation.Scopes.Any(Scopes.Contains);
}

/// <summary>A server process with two accounts, keys of every kind, and a look at its database from beside.</summary>
internal sealed class ApiWorld : IAsyncDisposable
{
    private const string QuietOnes = "SELECT count(*) FROM runs WHERE finished_at IS NULL "
        + "UNION ALL SELECT count(*) FROM documents WHERE status = 'processing'";

    private readonly RawModel _model = new(TimeSpan.Zero);
    private readonly LoadedServer _server;
    private DbSession? _database;
    private List<string> _sums = [];

    private ApiWorld() => _server = new LoadedServer(_model);

    internal Uri Url => _server.Url;

    internal string Folder => _server.Folder;

    internal ApiIds OperatorIds { get; } = new();

    internal ApiIds TenantIds { get; } = new();

    internal List<ApiCaller> Callers { get; } = [];

    /// <summary>Keys that must never work, each with what is wrong with it.</summary>
    internal List<(string Name, string? Authorization)> Refused { get; } = [];

    internal ApiCaller Operator => Callers[0];

    internal ApiCaller Tenant => Callers[1];

    internal static async Task<ApiWorld> StartAsync()
    {
        var world = new ApiWorld();
        await world._server.StartAsync();
        await world.FillAsync();
        var connection = new SqliteConnection(
            $"Data Source={DataFolder.DatabaseIn(Path.Combine(world.Folder, "data"))};Mode=ReadOnly;Pooling=False");
        await connection.OpenAsync();
        world._database = new DbSession(connection);
        world._sums = world.Sums();
        return world;
    }

    /// <summary>Waits until no run and no document is in the making.</summary>
    internal Task SettleAsync() => Eventually.TrueAsync(() =>
        _database!.List(QuietOnes, static row => row.GetInt64(0)).TrueForAll(static count => count == 0));

    /// <summary>Changes when anybody writes to the database.</summary>
    internal long Version() => _database!.Count("PRAGMA data_version");

    /// <summary>
    /// Rows and sums over every table but for the counters of requests: differs when anything was kept or changed.
    /// </summary>
    internal string Fingerprint()
    {
        var text = new StringBuilder();
        foreach (var sum in _sums)
        {
            text.Append(_database!.Single(sum, static row => row.GetString(0))).Append('\n');
        }

        return text.ToString();
    }

    internal Task<string?> VerifyAsync() => _server.VerifyAsync();

    internal string Errors => _server.Process.Errors;

    public async ValueTask DisposeAsync()
    {
        _database?.Dispose();
        await _server.DisposeAsync();
        _model.Dispose();
    }

    private async Task FillAsync()
    {
        using var first = _server.NewClient();
        var own = (await first.GetAsync("/v1/accounts/me")).Json.GetProperty("id").GetString()!;
        OperatorIds.Protect(own, await OwnKeyAsync(first));
        Callers.Add(new ApiCaller("operator", TestServer.AdminKey, ["admin"], true, OperatorIds) { AccountId = own });

        var made = await first.PostAsync("/v1/accounts", """{"name":"Tenant","plan":"enterprise"}""");
        var tenant = made.Json.GetProperty("id").GetString()!;
        var key = made.Json.GetProperty("key").GetString()!;
        _ = await first.PostAsync($"/v1/accounts/{tenant}/credits", """{"amount_usd":100000}""");
        OperatorIds.Protect(tenant);
        using var client = new TestClient(Url, key);
        TenantIds.Protect(tenant, await OwnKeyAsync(client));
        Callers.Add(new ApiCaller("tenant", key, ["admin"], false, TenantIds) { AccountId = tenant });
        foreach (var scope in (string[])["chat", "usage", "agents", "keys", "approvals"])
        {
            var (id, text) = await NewKeyAsync(client, $"\"scopes\":[\"{scope}\"]");
            TenantIds.Protect(id);
            Callers.Add(new ApiCaller($"tenant's {scope}", text, [scope], false, TenantIds)
            {
                AccountId = tenant,
            });
        }

        var (test, testKey) = await NewKeyAsync(first, "\"scopes\":[\"admin\"],\"kind\":\"mesh_test\"");
        OperatorIds.Protect(test);
        Callers.Add(new ApiCaller("test key", testKey, ["admin"], false, OperatorIds)
        {
            AccountId = own,
            IsTest = true,
        });
        await RefuseAsync(client);
    }

    private async Task RefuseAsync(TestClient client)
    {
        var (revoked, revokedKey) = await NewKeyAsync(client, "\"scopes\":[\"admin\"]");
        _ = await client.DeleteAsync($"/v1/api-keys/{revoked}");
        Refused.AddRange(
        [
            ("no key", null),
            ("an empty key", "Bearer "),
            ("a revoked key", $"Bearer {revokedKey}"),
            ("a wrong checksum", $"Bearer {TestServer.AdminKey[..^1]}J"),
            ("a key of nobody", $"Bearer {ApiKeyText.Make("mesh_live")}"),
            ("another scheme", $"Basic {TestServer.AdminKey}"),
            ("no scheme", TestServer.AdminKey),
            ("a key with more behind it", $"Bearer {TestServer.AdminKey}0"),
            ("a key in other letter case", $"Bearer {TestServer.AdminKey.ToUpperInvariant()}"),
            ("two keys in one", $"Bearer {TestServer.AdminKey}, Bearer {TestServer.AdminKey}"),
            ("SQL", "Bearer ' OR '1'='1"),
        ]);
    }

    private static async Task<string> OwnKeyAsync(TestClient client) =>
        (await client.GetAsync("/v1/api-keys")).Json.GetProperty("data")[0].GetProperty("id").GetString()!;

    private static async Task<(string Id, string Key)> NewKeyAsync(TestClient client, string members)
    {
        var answer = await client.PostAsync("/v1/api-keys", $$"""{"name":"fuzz",{{members}}}""");
        return (answer.Json.GetProperty("id").GetString()!, answer.Json.GetProperty("key").GetString()!);
    }

    private List<string> Sums()
    {
        var sums = new List<string>();
        foreach (var table in _database!.List(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
            static row => row.GetString(0)).Where(static name => name is not ("key_months" or "request_log")))
        {
            var columns = _database.List(string.Create(
                CultureInfo.InvariantCulture, $"SELECT name, type FROM pragma_table_info('{table}')"),
                static row => (Name: row.GetString(0), Type: row.GetString(1)))
                .Where(static one => one.Name is not ("last_used_at" or "failing_since" or "sequence"))
                .Select(static one => one.Type == "INTEGER"
                    ? $" || ',' || total({one.Name})"
                    : $" || ',' || total(length({one.Name}))");
            // A long log is only appended to, and triggers keep it so; deliveries go on by themselves.
            var isLog = table is "run_events" or "search_postings" or "chunks" or "webhook_deliveries";
            sums.Add($"SELECT '{table} ' || count(*){(isLog ? "" : string.Concat(columns))} FROM {table}");
        }

        return sums;
    }
}
