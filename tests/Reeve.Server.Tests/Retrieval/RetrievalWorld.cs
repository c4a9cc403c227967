using System.Text;
using CsCheck;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Reeve.Server.Http;
using Reeve.Server.Retrieval;
using Reeve.Server.Retrieval.Parsing.Child;
using Reeve.Server.Storage;
using Reeve.Server.Tests.Process;

namespace Reeve.Server.Tests.Retrieval;

/// <summary>Two accounts, the first with two agents, over a SQLite file of their own.</summary>
internal sealed class RetrievalWorld : IDisposable
{
    internal static readonly TenantContext Ours = new("acct_A");
    internal static readonly TenantContext Theirs = new("acct_B");

    private readonly Parser _parser;
    private readonly DocumentJobs _jobs;
    private readonly string _folder = Directory.CreateTempSubdirectory("reeve-retrieval-").FullName;

    internal RetrievalWorld()
    {
        var keys = new ContentKeys(MasterKey.Load(_folder, null, dataExists: false));
        Database = new Database(
            Path.Combine(_folder, "reeve.db"), NullLogger<Database>.Instance, TimeProvider.System, keys: keys);
        Migrator.Apply(Database.Setup, Time);
        keys.Create(Database.Setup, Ours, Time.GetUtcNow());
        keys.Create(Database.Setup, Theirs, Time.GetUtcNow());
        foreach (var (agent, account) in ((string, string)[])
            [("agt_1", "acct_A"), ("agt_2", "acct_A"), ("agt_3", "acct_B")])
        {
            Database.Setup.Execute("INSERT INTO agents (id, account_id, slug, version, created_at, updated_at) "
                + "VALUES ($1, $2, $1, 1, 0, 0)", agent, account);
        }

        Database.Start();
        var ids = new IdGenerator(Time);
        var ready = new ReadyDocuments(Database);
        var writer = new DocumentWriter(Database, ready, ids, Time);
        _parser = new Parser(new ParserProgram(ReeveProcess.Executable, ["parse"]), new ParserOptions(), Time,
            NullLogger<Parser>.Instance);
        var waiting = new WaitingFiles(Database, new ReeveOptions());
        _jobs = new DocumentJobs(Database, _parser, waiting, writer, Time, NullLogger<DocumentJobs>.Instance);
        Documents = new Documents(Database, ready, writer, _jobs, waiting, ids);
        Retriever = new Retriever(Database);
    }

    internal FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 5, 29, 7, 20, 5, TimeSpan.Zero));

    internal Database Database { get; }

    internal Documents Documents { get; }

    internal Retriever Retriever { get; }

    internal async Task<Document> AddAsync(string text, string name = "note.md", string agent = "agt_1")
    {
        var addition = await AddAsync(Ours, agent, Text(text, name));
        return addition.Document;
    }

    internal Task<DocumentAddition> AddAsync(TenantContext tenant, string agent, NewDocument added) =>
        Documents.AddAsync(tenant, agent, added, TestContext.Current.CancellationToken);

    internal async Task AddDemoAsync()
    {
        foreach (var document in DemoDocuments.Read())
        {
            await AddAsync(Ours, "agt_1", document);
        }
    }

    internal static Gen<string> AnyOf(params string[] words) =>
        Gen.Int[0, words.Length - 1].Select(index => words[index]);

    internal static NewDocument Text(string text, string name = "note.md") =>
        new() { Name = name, Bytes = Encoding.UTF8.GetBytes(text), IsText = true };

    internal static NewDocument File(byte[] bytes, string name) => new() { Name = name, Bytes = bytes };

    internal long CountRows(string sql, params object?[] values) =>
        Database.Read(session => session.Count(sql, values));

    internal static async Task<ApiException> RefusedAsync(Func<Task> act) =>
        await Assert.ThrowsAsync<ApiException>(act);

    public void Dispose()
    {
        Documents.Dispose();
        _jobs.Dispose();
        _parser.Dispose();
        Database.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
