using Microsoft.Data.Sqlite;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Retrieval;

public sealed class SearchIndexRebuildTests
{
    /// <summary>What the migration is taken back by: the table as it was, with postings that nobody can read.</summary>
    private const string Before = """
        DELETE FROM schema_migrations WHERE name LIKE '0010%';
        DROP TABLE search_postings;
        CREATE TABLE search_postings (
            index_number INTEGER NOT NULL, term TEXT NOT NULL, block INTEGER NOT NULL, postings BLOB NOT NULL,
            PRIMARY KEY (index_number, term, block)) WITHOUT ROWID;
        INSERT INTO search_postings VALUES (1, 'lantern', 0, x'0102');
        """;

    [Fact]
    public async Task Start_DataOfAnOlderVersion_FindsTheSameAfterwards()
    {
        var folder = TestServer.NewFolder();
        string agent, before;
        await using (var server = await TestServer.StartAsync(folder: folder))
        {
            agent = (await server.Client.PostAsync("/v1/agents", """{"name":"Desk"}""")).Json
                .GetProperty("id").GetString()!;
            foreach (var (text, privacyClass) in ((string, string)[])
                [("# Lanterns\\n\\nA lantern is on the pier.\\n\\n## Oil\\n\\nIt burns for nine hours.", "standard"),
                ("The secret lantern hangs in the cellar.", "confidential")])
            {
                var added = await server.Client.PostAsync($"/v1/agents/{agent}/documents",
                    $$"""{"text":"{{text}}","name":"note.md","privacy_class":"{{privacyClass}}"}""");
                Assert.True(added.Status == 201, added.Text);
            }

            before = await SearchAsync(server, agent);
            Assert.Contains("cellar", before, StringComparison.Ordinal);
            Assert.Contains("pier", before, StringComparison.Ordinal);
        }

        Run(folder, Before);
        await using (var server = await TestServer.StartAsync(folder: folder))
        {
            Assert.Equal(before, await SearchAsync(server, agent));
            Assert.Empty(server.Database.Read(new Verifier(server.Service<MasterKey>()).Check));
            Assert.Equal(0, server.Database.Read(static session => session.Count(
                "SELECT count(*) FROM settings WHERE name = 'search_rebuild'")));
        }

        Directory.Delete(folder, recursive: true);
    }

    private static void Run(string folder, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={DataFolder.DatabaseIn(folder)};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // A constant of this class.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    private static async Task<string> SearchAsync(TestServer server, string agent)
    {
        var found = await server.Client.PostAsync(
            $"/v1/agents/{agent}/search", """{"query":"How long does the oil of a lantern burn?"}""");
        Assert.True(found.Status == 200, found.Text);
        return found.Text;
    }
}
