using System.Text;
using Microsoft.Data.Sqlite;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Process;

/// <summary>A real server that is killed while a document becomes confidential.</summary>
public sealed class SealingKillTests : IDisposable
{
    private const int Words = 50_000;

    private readonly string _folder = TestServer.NewFolder();

    private string Data => Path.Combine(_folder, "data");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("SELECT count(*) = 0 FROM documents WHERE typeof(name) = 'blob'")]
    [InlineData("SELECT count(*) < 15000 FROM search_postings WHERE substr(term, 1, 1) = '#'")]
    [InlineData("SELECT count(*) = 0 FROM chunks WHERE typeof(text) = 'blob'")]
    public async Task Kill_WhileADocumentBecomesConfidential_IsEncryptedWhollyAfterTheNextStart(string until)
    {
        string path;
        await using (var server = await ServeAsync())
        {
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            path = $"/v1/documents/{await AddAsync(client)}";
            Assert.Equal(0, await server.TerminateAsync());
        }

        // Every commit takes a while, so that there is time to look.
        await using (var server = await ServeAsync(("REEVE_FAILPOINTS", "storage.committed=delay:100")))
        {
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            var patching = client.PatchAsync(path, """{"privacy_class":"confidential"}""");
            await Eventually.TrueAsync(() => Count(until) == 0);
            await server.KillAsync();
            await Assert.ThrowsAsync<HttpRequestException>(() => patching);
        }

        Assert.True(Count(Open) > 0, "All was encrypted before the kill.");
        await AssertSoundAsync();
        await using (var server = await ServeAsync())
        {
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            await AssertFoundAsync(client); // Whatever is encrypted by now.
            await Eventually.TrueAsync(() => Count(Open) == 0);
            await AssertFoundAsync(client);
            Assert.Equal("confidential",
                (await client.GetAsync(path)).Json.GetProperty("privacy_class").GetString());
            Assert.Equal(0, await server.TerminateAsync());
        }

        await AssertSoundAsync();
        foreach (var file in Directory.EnumerateFiles(Data, "*", SearchOption.AllDirectories))
        {
            Assert.False((await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken)).AsSpan()
                .IndexOf("zucchetto1999"u8) >= 0, $"Words of the document are in {Path.GetFileName(file)}.");
        }
    }

    private const string Open = "SELECT (SELECT count(*) FROM chunks WHERE typeof(text) = 'text' "
        + "AND text LIKE '%zucchetto%') + (SELECT count(*) FROM search_postings WHERE term LIKE 'zucchetto%') "
        + "+ (SELECT count(*) FROM search_terms WHERE terms LIKE '%zucchetto%')";

    private static async Task<string> AddAsync(TestClient client)
    {
        var text = new StringBuilder();
        for (var i = 0; i < Words; i++)
        {
            text.Append(null, $"zucchetto{i}{(i % 12 == 11 ? ". " : " ")}");
        }

        var made = await client.PostAsync(
            "/v1/agents/demo/documents", $$"""{"name":"Beds","text":"{{text}}"}""");
        Assert.True(made.Status == 201, made.Text);
        return made.Json.GetProperty("id").GetString()!;
    }

    private static async Task AssertFoundAsync(TestClient client)
    {
        foreach (var word in (string[])["zucchetto0", "zucchetto9999", $"zucchetto{Words - 1}"])
        {
            var found = await client.PostAsync("/v1/agents/demo/search", $$"""{"query":"{{word}}"}""");
            Assert.Contains(
                word, Assert.Single(found.Json.GetProperty("data").EnumerateArray()).GetProperty("text").GetString());
        }
    }

    private long Count(string sql)
    {
        using var connection = new SqliteConnection(
            $"Data Source={DataFolder.DatabaseIn(Data)};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this class.
        command.CommandText = sql;
#pragma warning restore CA2100
        return (long)command.ExecuteScalar()!;
    }

    private Task<ReeveProcess> ServeAsync(params (string Name, string Value)[] environment) =>
        ReeveProcess.ServeAsync(_folder, [("REEVE_ADMIN_KEY", TestServer.AdminKey), .. environment]);

    private async Task AssertSoundAsync()
    {
        var (code, output, errors) = await ReeveProcess.VerifyAsync(_folder);
        Assert.True(code == 0 && output.StartsWith("0 violations in ", StringComparison.Ordinal), output + errors);
    }
}
