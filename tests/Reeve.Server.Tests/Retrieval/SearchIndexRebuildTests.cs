using Microsoft.Data.Sqlite;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Retrieval;

public sealed class SearchIndexRebuildTests
{
    /// <summary>What the last migration is taken back by: the tables as they were.</summary>
    private const string BeforeBlocks = """
        DELETE FROM schema_migrations WHERE name LIKE '0013%';
        DROP TABLE search_blocks; DROP TABLE search_terms; DROP TABLE search_documents; DROP TABLE search_indexes;
        CREATE TABLE search_indexes (number INTEGER PRIMARY KEY, account_id TEXT NOT NULL,
            agent_id TEXT NOT NULL UNIQUE,
            chunk_count INTEGER NOT NULL, term_count INTEGER NOT NULL, open_block INTEGER NOT NULL,
            open_chunk_count INTEGER NOT NULL);
        CREATE TABLE search_documents (document_number INTEGER PRIMARY KEY, block INTEGER NOT NULL,
            term_count INTEGER NOT NULL, terms TEXT NOT NULL);
        INSERT INTO search_documents SELECT number, 0, 1, 'lantern' FROM documents;
        DROP INDEX documents_processing;
        CREATE INDEX documents_processing ON documents (number) WHERE status = 'processing';
        """;

    /// <summary>And the one before: a table with postings that nobody can read.</summary>
    private const string BeforePlaces = BeforeBlocks + """
        DELETE FROM schema_migrations WHERE name LIKE '0010%';
        DROP TABLE search_postings;
        CREATE TABLE search_postings (
            index_number INTEGER NOT NULL, term TEXT NOT NULL, block INTEGER NOT NULL, postings BLOB NOT NULL,
            PRIMARY KEY (index_number, term, block)) WITHOUT ROWID;
        INSERT INTO search_postings VALUES (1, 'lantern', 0, x'0102');
        """;

    [Theory]
    [InlineData(BeforeBlocks)]
    [InlineData(BeforePlaces)]
    public async Task Start_DataOfAnOlderVersion_FindsTheSameAfterwards(string older)
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

        Run(folder, older);
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
