using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using static Reeve.Server.Tests.Retrieval.RetrievalWorld;

namespace Reeve.Server.Tests.Retrieval;

/// <summary>The steps in which an open document is encrypted; a crash may come after any of them.</summary>
public sealed class SealingStepsTests : IDisposable
{
    /// <summary>Each term has its posting written anew, and the hidden one; then the part of the list.</summary>
    private const int WritesOfAStepMax = (2 * SearchIndexStore.TermsAPart) + 1;

    private readonly RetrievalWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Theory]
    [InlineData(4_000)]
    [InlineData(60_000)]
    public async Task Blind_DocumentOfAnySize_TakesStepsOfOneSize(int words)
    {
        var (id, number) = await AddAndCloseAsync(words);
        var (steps, writes) = (0, 0L);
        while (await _world.Database.WriteAsync(session =>
        {
            var before = session.WriteCount;
            var goesOn = SearchIndexStore.Blind(session, Ours, "agt_1", number, steps);
            writes = Math.Max(writes, session.WriteCount - before);
            return goesOn;
        }))
        {
            steps++;
        }

        Assert.Equal((words / SearchIndexStore.TermsAPart) + 1, steps);
        Assert.Equal(WritesOfAStepMax, writes);
        Assert.InRange(_world.CountRows("SELECT max(length(terms)) FROM search_terms"), 1,
            SearchIndexStore.TermsAPart * 30);
        Assert.Equal(0, OpenRows());
        AssertFound(id, words);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(5)]
    public async Task Document_AfterAnyStep_IsFoundReplacedAndErased(int steps)
    {
        const int Words = 4_000;
        var (id, number) = await AddAndCloseAsync(Words);
        for (var part = 0; part < steps; part++)
        {
            await _world.Database.WriteAsync(
                session => SearchIndexStore.Blind(session, Ours, "agt_1", number, part));
        }

        AssertFound(id, Words);
        await _world.Documents.ReplaceAsync(
            Ours, id, RetrievalWorld.Text("Only the zamboni is left."), TestContext.Current.CancellationToken);
        Assert.Equal(0, OpenRows());
        Assert.Empty(_world.Retriever.Search(Ours, "agt_1", "word17", 5));
        Assert.Single(_world.Retriever.Search(Ours, "agt_1", "zamboni", 5));

        // The step that was to come finds other content, all of it hidden.
        await _world.Database.WriteAsync(
            session => SearchIndexStore.Blind(session, Ours, "agt_1", number, steps));
        Assert.Single(_world.Retriever.Search(Ours, "agt_1", "zamboni", 5));
        await _world.Documents.DeleteAsync(Ours, id);
        AssertNothingLeft();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(5)]
    public async Task Delete_AfterAnyStep_LeavesNothing(int steps)
    {
        var (id, number) = await AddAndCloseAsync(4_000);
        for (var part = 0; part < steps; part++)
        {
            await _world.Database.WriteAsync(
                session => SearchIndexStore.Blind(session, Ours, "agt_1", number, part));
        }

        await _world.Documents.DeleteAsync(Ours, id);

        AssertNothingLeft();
    }

    /// <summary>A document of so many distinct words that is confidential, with nothing of it encrypted yet.</summary>
    private async Task<(string Id, long Number)> AddAndCloseAsync(int words)
    {
        var document = await _world.AddAsync(
            string.Join(' ', Enumerable.Range(0, words).Select(static number => $"word{number}")) + " last");
        await _world.Database.WriteAsync(session => DocumentStore.Update(
            session, Ours, document with { PrivacyClass = PrivacyClass.Confidential, IsSealed = true }));
        return (document.Id,
            _world.Database.Read(session => DocumentStore.NumberOf(session, Ours, document.Id)!.Value));
    }

    private void AssertFound(string id, int words) => Assert.All((int[])[0, words / 2, words - 1],
        number => Assert.Equal(id, Assert.Single(
            _world.Retriever.Search(Ours, "agt_1", $"word{number}", 5)).Chunk.DocumentId));

    private void AssertNothingLeft() => Assert.All(
        (string[])["documents", "chunks", "search_documents", "search_terms", "search_postings", "search_blocks"],
        table => Assert.Equal(0, Rows(table)));

    private long OpenRows() => _world.CountRows(
        "SELECT (SELECT count(*) FROM search_postings WHERE substr(term, 1, 1) <> '#') "
        + "+ (SELECT count(*) FROM search_terms WHERE instr(char(10) || terms, char(10) || 'word') > 0)");

    private long Rows(string table) => table switch
    {
        "documents" => _world.CountRows("SELECT COUNT(*) FROM documents"),
        "chunks" => _world.CountRows("SELECT COUNT(*) FROM chunks"),
        "search_documents" => _world.CountRows("SELECT COUNT(*) FROM search_documents"),
        "search_terms" => _world.CountRows("SELECT COUNT(*) FROM search_terms"),
        "search_blocks" => _world.CountRows("SELECT COUNT(*) FROM search_blocks"),
        _ => _world.CountRows("SELECT COUNT(*) FROM search_postings"),
    };
}
