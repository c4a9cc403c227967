using Microsoft.AspNetCore.Builder;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Runs;

/// <summary>Waiting runs whose owner failed while their turn came.</summary>
public sealed class TakeOverTests
{
    /// <summary>How long somebody else has to get in between; where nobody can, the test waits for all of it.</summary>
    private static readonly TimeSpan Gap = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(20);

    private readonly TaskCompletionSource _gate = new();
    private readonly ScriptedChatClient _model;
    private volatile Action<string> _onHit = static _ => { };

    public TakeOverTests() =>
        _model = new ScriptedChatClient().Reply(_gate.Task, "First.").Reply("Next.");

    [Fact]
    public async Task WaitingRun_ThatIsTakenOverWhileItsTurnComesAgain_HasOneOwner()
    {
        await using var server = await StartAsync(null);
        var agent = await server.NewAgentAsync();
        var (first, waiting) = await StartTwoAsync(server, agent);
        var hits = 0;
        _onHit = point =>
        {
            if (point == Failpoints.HostEnded && Interlocked.CompareExchange(ref hits, 1, 0) == 0)
            {
                return; // The first run has ended; what is written next is that the waiting one began.
            }

            if (point == Failpoints.LogInserted && Interlocked.CompareExchange(ref hits, 2, 1) == 1)
            {
                throw new FailpointException();
            }

            if (point == Failpoints.RecoverMended && Interlocked.CompareExchange(ref hits, 3, 2) == 2)
            {
                WaitForAnother(server, agent, first, waiting);
            }
        };
        _gate.SetResult();

        await Eventually.TrueAsync(() => Volatile.Read(ref hits) == 4);
        await Eventually.TrueAsync(() => server.Database.Read(static session =>
            session.Count("SELECT count(*) FROM runs WHERE status = 'completed'")) == 3);

        Assert.Equal(3, _model.Calls);
        Assert.Equal(0, server.Database.Read(static session =>
            session.Count("SELECT count(*) FROM run_events WHERE type = 'run.recovered'"))); // No owner was in the way.
        await server.AssertSoundAsync();

        void WaitForAnother(TestServer here, string of, TestAnswer after, string runId)
        {
            Assert.Equal(202, RunAsync(here, of, after).GetAwaiter().GetResult().Status);
            var start = TimeProvider.System.GetTimestamp();
            var spin = new SpinWait();
            while (TimeProvider.System.GetElapsedTime(start) < Gap && !here.Database.Read(session =>
                session.Exists("SELECT 1 FROM runs WHERE id = $1 AND status <> 'queued'", runId)))
            {
                spin.SpinOnce();
            }

            Interlocked.Exchange(ref hits, 4);
        }
    }

    [Fact]
    public async Task WaitingRun_WhoseAgentCannotBeRead_FailsAndDoesNotHoldUpTheStart()
    {
        var folder = TestServer.NewFolder();
        string first, waiting;
        await using (var server = await StartAsync(folder))
        {
            var agent = await server.NewAgentAsync();
            var (answer, other) = await StartTwoAsync(server, agent);
            (first, waiting) = (answer.Json.GetProperty("run_id").GetString()!, other);
            await server.Database.WriteAsync(
                session => session.Execute("UPDATE agent_versions SET config = '{' WHERE agent_id = $1", agent));
        }

        // Whoever takes the first run over cannot read its agent either, and gives up; then the other one's turn comes.
        await using (var server = await StartAsync(folder))
        {
            await Eventually.TrueAsync(() => Status(server, first) == "failed");
            await Eventually.TrueAsync(() => Status(server, waiting) == "failed");
        }

        await using (var server = await StartAsync(folder).WaitAsync(StartTime, RunTestExtensions.Cancellation))
        {
            var shown = await server.Client.GetAsync($"/v1/runs/{waiting}");
            Assert.Contains("damaged", shown.Json.GetProperty("error").GetProperty("message").GetString(),
                StringComparison.Ordinal);
            Assert.Equal(200, (await server.Client.GetAsync("/health/ready")).Status);
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task WaitingRun_WhoseTurnFailsAgainAndAgain_IsTriedAtAnEasyPace()
    {
        await using var server = await StartAsync(null);
        var agent = await server.NewAgentAsync();
        var (_, waiting) = await StartTwoAsync(server, agent);
        var claims = 0;
        _onHit = point => Interlocked.Add(ref claims, point == Failpoints.RecoverClaimed ? 1 : 0);
        await RenameAsync("agent_versions", "away");
        var start = TimeProvider.System.GetTimestamp();
        _gate.SetResult();
        await Eventually.TrueAsync(() => Volatile.Read(ref claims) >= 3);
        Assert.InRange(TimeProvider.System.GetElapsedTime(start), TimeSpan.FromSeconds(1.9), TestServer.Timeout);

        await RenameAsync("away", "agent_versions");
        await Eventually.TrueAsync(() => Status(server, waiting) == "completed");
        Assert.DoesNotContain(server.Database.Read(new Verifier().Check),
            static one => one.Invariant != "I14"); // The renaming left its quotes in the schema.

        Task RenameAsync(string from, string to) => server.Database.WriteAsync(session =>
        {
            using var command = session.Connection.CreateCommand();
#pragma warning disable CA2100 // The names are those above.
            command.CommandText = $"ALTER TABLE {from} RENAME TO {to}";
#pragma warning restore CA2100
            command.ExecuteNonQuery();
        });
    }

    [Theory]
    [InlineData("DELETE FROM run_events")]
    [InlineData("DELETE FROM run_events WHERE seq = 1")]
    [InlineData("DELETE FROM run_events WHERE seq = 2")]
    [InlineData("UPDATE run_events SET payload = NULL WHERE seq = 1")]
    [InlineData("UPDATE run_events SET payload = CAST('{' AS BLOB) WHERE seq = 1")]
    [InlineData("UPDATE run_events SET type = 'tool_call.finished', "
        + "payload = CAST('{\"id\":\"x\",\"tool\":\"x\",\"result\":1,\"is_error\":false}' AS BLOB) WHERE seq = 3")]
    public async Task OpenRun_WhoseLogIsDamaged_IsLeftAsItIsAndHoldsUpNobody(string damage)
    {
        var folder = TestServer.NewFolder();
        string run;
        await using (var server = await StartAsync(folder))
        {
            run = (await StartTwoAsync(server, await server.NewAgentAsync())).First.Json
                .GetProperty("run_id").GetString()!;
        }

        Damage(folder, damage);
        _gate.SetResult();
        await using (var server = await StartAsync(folder).WaitAsync(StartTime, RunTestExtensions.Cancellation))
        {
            Assert.Equal("running", Status(server, run));
            Assert.Equal(200, (await server.RunAsync(await server.NewAgentAsync())).Status);
        }

        Directory.Delete(folder, recursive: true);
    }

    private static void Damage(string folder, string damage)
    {
        using var connection = new SqliteConnection($"Data Source={DataFolder.DatabaseIn(folder)};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText =
            "SELECT group_concat('DROP TRIGGER ' || name, ';') FROM sqlite_master WHERE type = 'trigger'";
        var drop = (string)command.ExecuteScalar()!;
#pragma warning disable CA2100 // The statements are those above.
        command.CommandText = $"{drop}; {damage}; SELECT changes()";
#pragma warning restore CA2100
        Assert.True((long)command.ExecuteScalar()! > 0, $"{damage} changed nothing.");
    }

    private static string? Status(TestServer server, string runId) => server.Database.Read(session =>
        session.Single("SELECT status FROM runs WHERE id = $1", static row => row.GetString(0), runId));

    private Task<TestServer> StartAsync(string? folder) => TestServer.StartAsync(configure: Configure, folder: folder,
        realTime: true);

    private void Configure(WebApplicationBuilder builder)
    {
        _model.AddTo(builder);
        builder.Services.AddSingleton(new Failpoints(point => _onHit(point)));
    }

    /// <summary>A run that the model keeps, and one that waits behind it.</summary>
    private static async Task<(TestAnswer First, string Waiting)> StartTwoAsync(TestServer server, string agent)
    {
        var first = await server.RunAsync(agent, "\"background\":true");
        var waiting = await RunAsync(server, agent, first);
        Assert.Equal("queued", waiting.Json.GetProperty("status").GetString());
        return (first, waiting.Json.GetProperty("run_id").GetString()!);
    }

    private static Task<TestAnswer> RunAsync(TestServer server, string agent, TestAnswer after) => server.RunAsync(
        agent, $"\"conversation_id\":\"{after.Json.GetProperty("conversation_id").GetString()}\","
        + "\"on_busy\":\"queue\",\"background\":true");
}
