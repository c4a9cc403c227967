using Microsoft.Data.Sqlite;

namespace Reeve.Server.Tests.Process;

/// <summary>A log that the disk changed: nobody is shown it, and the rest of the server goes on.</summary>
public sealed class DamagedLogTests : IDisposable
{
    private readonly string _folder = TestServer.NewFolder();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("UPDATE run_events SET payload = CAST(replace(CAST(payload AS TEXT), 'coin', 'coim') AS BLOB) "
        + "WHERE run_id = $1 AND type = 'message.delta'")]
    [InlineData("UPDATE run_events SET payload = CAST('[]' AS BLOB) WHERE run_id = $1 AND seq = 2")]
    [InlineData("UPDATE run_events SET at = at + 1 WHERE run_id = $1 AND seq = 3")]
    [InlineData("UPDATE run_events SET type = hex(zeroblob(300)) WHERE run_id = $1 AND seq = 3")]
    [InlineData("UPDATE run_events SET at = 9000000000000000000 WHERE run_id = $1 AND seq = 3")]
    [InlineData("DELETE FROM run_events WHERE run_id = $1 AND seq = 3")]
    [InlineData("DELETE FROM run_events WHERE run_id = $1 AND type = 'run.completed'")]
    public async Task DamagedLog_IsAnErrorToReaders_AndOpenNoObstacleToTheStart(string damage)
    {
        await using var model = await MockModel.StartAsync();
        model.Configure(_folder);
        string[] runs;
        await using (var server = await ReeveProcess.ServeAsync(_folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey)))
        {
            using var one = new StreamUser(() => server.Url);
            using var two = new StreamUser(() => server.Url);
            var agent = await one.NewAgentAsync();
            Assert.True(await one.StartAsync("/v1/agents/runs", agent, "Hi"));
            Assert.True(await two.StartAsync("/v1/agents/runs", agent, "Hi"));
            runs = [one.RunId!, two.RunId!];
            Assert.Equal(0, await server.TerminateAsync());
        }

        Execute(damage, runs[0]);
        await ExpectErrorsAsync(runs);

        // As if its owner had been killed in the midst of it.
        Execute("UPDATE runs SET status = 'running', finished_at = NULL, output = NULL, outcome = NULL "
            + "WHERE id = $1", runs[0]);
        var isWholeButOpen = damage.Contains("run.completed", StringComparison.Ordinal);
        if (!isWholeButOpen)
        {
            await ExpectErrorsAsync(runs);
        }
    }

    private async Task ExpectErrorsAsync(string[] runs)
    {
        await using var server = await ReeveProcess.ServeAsync(_folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));
        using var client = new TestClient(server.Url, TestServer.AdminKey);
        var shown = await client.GetAsync($"/v1/runs/{runs[0]}");
        Assert.True(shown.Status == 500 && shown.Text.Contains("damaged", StringComparison.Ordinal), shown.Text);
        await StreamIsCutAsync(client, $"/v1/runs/{runs[0]}/events");
        Assert.Equal(200, (await client.GetAsync($"/v1/runs/{runs[1]}")).Status);
        var listed = await client.GetAsync("/v1/runs");
        Assert.True(listed.Status == 200, listed.Text);
        Assert.Equal([runs[1], runs[0]], listed.Json.GetProperty("data").EnumerateArray()
            .Select(static run => run.GetProperty("run_id").GetString()));
        Assert.Contains($"The log of {runs[0]} is damaged", server.Errors + server.Output, StringComparison.Ordinal);
        Assert.Equal(0, await server.TerminateAsync());
    }

    private static async Task StreamIsCutAsync(TestClient client, string path)
    {
        try
        {
            Assert.Equal(500, (await client.GetAsync(path)).Status);
        }
        catch (HttpRequestException)
        {
            // Part of it was sent before the damage was met.
        }
    }

    private void Execute(string sql, string runId)
    {
        using var connection = new SqliteConnection(
            $"Data Source={Path.Combine(_folder, "data", "reeve.db")};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "DROP TRIGGER IF EXISTS run_events_no_delete; "
            + "DROP TRIGGER IF EXISTS run_events_erase_only;";
        command.ExecuteNonQuery();
#pragma warning disable CA2100 // The statements are those above.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.Parameters.AddWithValue("$1", runId);
        Assert.True(command.ExecuteNonQuery() > 0, $"{sql} changed nothing.");
    }
}
