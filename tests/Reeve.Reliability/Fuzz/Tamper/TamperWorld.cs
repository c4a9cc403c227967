using System.Text.Json;
using Microsoft.Data.Sqlite;
using Reeve.Reliability.Load;
using Reeve.Server.Receipts.Checkpoints;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Storage;

namespace Reeve.Reliability.Fuzz.Tamper;

/// <summary>
/// What a real server left behind: its receipts as it answered them, its public key, and a copy of its database.
/// </summary>
internal sealed class TamperWorld : IAsyncDisposable
{
    private static readonly string[] Inputs =
        ["Hi", "Grüße aus 東京 😀", "\u0001\"\\</script>", "A longer question, please."];

    private readonly RawModel _model = new(TimeSpan.Zero);
    private readonly LoadedServer _server;

    private TamperWorld() => _server = new LoadedServer(_model);

    internal List<byte[]> Receipts { get; } = [];

    internal byte[] PublicKey { get; private set; } = [];

    internal MasterKey Master { get; private set; } = null!;

    /// <summary>Those of the audit, as somebody keeps them elsewhere.</summary>
    internal IReadOnlyList<string> Checkpoints { get; private set; } = [];

    private string DataFolderPath => Path.Combine(_server.Folder, "data");

    internal static async Task<TamperWorld> StartAsync()
    {
        var world = new TamperWorld();
        await world._server.StartAsync();
        using (var client = world._server.NewClient())
        {
            foreach (var body in Inputs.Select(input => $"\"input\":\"{JsonEncodedText.Encode(input)}\"")
                .Append("\"input\":\"Streamed\",\"stream\":true")
                .Append("\"input\":\"Of a class\",\"privacy_class\":\"confidential\""))
            {
                _ = await client.PostAsync("/v1/agents/runs", $"{{\"agent\":\"{world._server.AgentId}\",{body}}}");
            }

            // An agent without documents has the built-in model say so, for nothing.
            var free = await client.PostAsync("/v1/agents", """{"name":"Free","model":"reeve/quote"}""");
            var id = free.Json.GetProperty("id").GetString();
            _ = await client.PostAsync("/v1/agents/runs", $$"""{"agent":"{{id}}","input":"What is it?"}""");
            var runs = await client.GetAsync("/v1/runs");
            foreach (var run in runs.Json.GetProperty("data").EnumerateArray())
            {
                var receipt = await client.GetAsync($"/v1/runs/{run.GetProperty("run_id").GetString()}/receipt");
                world.Receipts.Add(System.Text.Encoding.UTF8.GetBytes(receipt.Text));
            }
        }

        Assert.Equal(0, await world._server.Process.TerminateAsync());
        var key = await File.ReadAllBytesAsync(Path.Combine(world.DataFolderPath, MasterKey.FileName));
        world.Master = MasterKey.Parse(key);
        using (var ring = Database.ReadOnce(
            DataFolder.DatabaseIn(world.DataFolderPath), session => KeyRing.Open(session, world.Master)))
        {
            world.PublicKey = ring.Signer.PublicKey;
        }

        world.Checkpoints = Database.ReadOnce(DataFolder.DatabaseIn(world.DataFolderPath),
            static session => CheckpointStore.List(session, null).ConvertAll(static one => one.Document));
        return world;
    }

    /// <summary>
    /// A copy of the database for whoever does not ask it: without the triggers, which a thief takes off first.
    /// </summary>
    internal DbSession OpenCopy()
    {
        var copy = Path.Combine(_server.Folder, "copy.db");
        File.Copy(DataFolder.DatabaseIn(DataFolderPath), copy, overwrite: true);
        var connection = new SqliteConnection($"Data Source={copy};Pooling=False");
        connection.Open();
        var session = new DbSession(connection);
        foreach (var trigger in session.List(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'", static row => row.GetString(0)))
        {
            session.Execute($"DROP TRIGGER {trigger}");
        }

        session.Execute("PRAGMA synchronous=OFF");
        return session;
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _model.Dispose();
    }
}
