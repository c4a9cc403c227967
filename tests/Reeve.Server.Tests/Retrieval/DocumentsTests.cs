using System.Text;
using System.Text.Json;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using static Reeve.Server.Tests.Retrieval.RetrievalWorld;

namespace Reeve.Server.Tests.Retrieval;

public sealed class DocumentsTests : IDisposable
{
    private readonly RetrievalWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task Add_Text_IsReadyWithItsFacts()
    {
        var addition = await _world.AddAsync(Ours, "agt_1", Text("# Tea\n\nTea is brewed hot.", "tea.md") with
        {
            PrivacyClass = PrivacyClass.Confidential,
            Metadata = JsonElement.Parse("""{"kind":"drink"}"""),
        });

        Assert.True(addition.Created);
        var document = _world.Documents.Get(Ours, addition.Document.Id);
        Assert.Equal(("tea.md", "text/markdown", 25L, "ready", 1), (document.Name, document.MimeType, document.Bytes,
            document.Status, document.ChunkCount));
        Assert.Equal("""{"kind":"drink"}""", document.Metadata.GetRawText());
        Assert.Equal(PrivacyClass.Confidential, document.PrivacyClass);
        Assert.Equal(64, document.Sha256.Length);
        Assert.Equal(addition.Document.CreatedAt, document.CreatedAt);
        var chunk = Assert.Single(_world.Documents.Chunks(Ours, document.Id, null, 10));
        Assert.Equal((0, 0, 23, "Tea\n\nTea is brewed hot."), (chunk.Index, chunk.Start, chunk.End, chunk.Text));
        Assert.Equal(["Tea"], chunk.Headings);
    }

    [Fact]
    public async Task Add_SameBytesAgain_GivesTheDocumentThatIsThere()
    {
        var first = await _world.AddAsync("The same words.");

        var again = await _world.AddAsync(Ours, "agt_1", Text("The same words.", "other.txt"));
        var elsewhere = await _world.AddAsync(Ours, "agt_2", Text("The same words."));

        Assert.Equal((false, first.Id), (again.Created, again.Document.Id));
        Assert.True(elsewhere.Created);
    }

    [Fact]
    public async Task Add_SameBytesAtOnce_MakesOneDocument()
    {
        var additions = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
            _world.AddAsync(Ours, "agt_1", Text("Raced words.")))));

        Assert.Single(additions, addition => addition.Created);
        Assert.Single(additions.Select(addition => addition.Document.Id).Distinct());
        Assert.Equal(1, _world.CountRows("SELECT COUNT(*) FROM documents"));
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \n\t ")]
    [InlineData("<html><script>x()</script></html>")]
    public async Task Add_WithoutText_IsRefused(string text)
    {
        var asText = await RefusedAsync(() => _world.AddAsync(Ours, "agt_1", Text(text, "a")));
        var asFile = await RefusedAsync(() =>
            _world.AddAsync(Ours, "agt_1", RetrievalWorld.File(Encoding.UTF8.GetBytes(text), "a")));

        Assert.Equal(("invalid_request", "text"), (asText.Code.Code, asText.Param));
        Assert.Equal(("invalid_request", "file"), (asFile.Code.Code, asFile.Param));
    }

    [Theory]
    [InlineData("agt_9")]
    [InlineData("agt_3")]
    public async Task Add_AgentOfNobodyOrOfAnother_IsNotFoundAndLeavesNothing(string agent)
    {
        var error = await RefusedAsync(() => _world.AddAsync(Ours, agent, Text("Words.")));

        Assert.Equal("not_found", error.Code.Code);
        Assert.Equal(0, _world.CountRows("SELECT COUNT(*) FROM documents"));
    }

    [Fact]
    public async Task Anything_OfAnotherAccount_IsNotFound()
    {
        var id = (await _world.AddAsync("Ours alone.")).Id;

        foreach (var act in (Func<Task>[])
        [
            () => Task.FromResult(_world.Documents.Get(Theirs, id)),
            () => Task.FromResult(_world.Documents.Chunks(Theirs, id, null, 5)),
            () => _world.Documents.RetryAsync(Theirs, id),
            () => _world.Documents.PatchAsync(Theirs, id, new DocumentPatch("mine", null, null)),
            () => _world.Documents.DeleteAsync(Theirs, id),
        ])
        {
            Assert.Equal("not_found", (await RefusedAsync(act)).Code.Code);
        }

        Assert.Empty(_world.Documents.List(Theirs, "agt_1", null, null, 5));
        Assert.Empty(_world.Retriever.Search(Theirs, "agt_1", "ours alone", 5));
        Assert.Equal("note.md", _world.Documents.Get(Ours, id).Name);
    }

    [Fact]
    public async Task List_Pages_NewestFirst()
    {
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            ids.Insert(0, (await _world.AddAsync($"Words {i}.")).Id);
        }

        var first = _world.Documents.List(Ours, "agt_1", null, null, 2);
        var rest = _world.Documents.List(Ours, "agt_1", "ready", first[1].Id, 10);

        Assert.Equal(ids, first.Concat(rest).Select(document => document.Id));
        Assert.Empty(_world.Documents.List(Ours, "agt_1", "failed", null, 10));
        Assert.Equal(5, _world.Documents.Count(Ours, "agt_1"));
    }

    [Fact]
    public async Task Patch_SomeFields_ChangesThoseAlone()
    {
        var document = (await _world.AddAsync(Ours, "agt_1", Text("Words.") with
        {
            Metadata = JsonElement.Parse("""{"a":1,"b":2}"""),
        })).Document;
        _world.Time.Advance(TimeSpan.FromMinutes(1));

        var changed = await _world.Documents.PatchAsync(Ours, document.Id,
            new DocumentPatch("new.md", PrivacyClass.Protected, JsonElement.Parse("""{"b":null,"c":3}""")));

        Assert.Equal(("new.md", PrivacyClass.Protected), (changed.Name, changed.PrivacyClass));
        Assert.Equal("""{"a":1,"c":3}""", changed.Metadata.GetRawText());
        Assert.Equal(document.CreatedAt.AddMinutes(1), changed.UpdatedAt);
        Assert.Equal(changed.UpdatedAt, _world.Documents.Get(Ours, document.Id).UpdatedAt);
        Assert.Equal("new.md", Assert.Single(_world.Retriever.Search(Ours, "agt_1", "words", 5)).Name);
    }

    [Fact]
    public async Task Retry_ReadyDocument_IsAConflict()
    {
        var id = (await _world.AddAsync("Words.")).Id;

        var error = await RefusedAsync(() => _world.Documents.RetryAsync(Ours, id));

        Assert.Equal("conflict", error.Code.Code);
    }

    [Fact]
    public async Task Delete_Document_LeavesNothingOfItBehind()
    {
        var kept = await _world.AddAsync("The harbour has four cranes.");
        var gone = await _world.AddAsync("# Xylograph\n\nThe xylograph was carved by Zebulon.");

        await _world.Documents.DeleteAsync(Ours, gone.Id);

        Assert.Equal(1, _world.CountRows("SELECT COUNT(*) FROM chunks"));
        Assert.Equal(1, _world.CountRows("SELECT COUNT(*) FROM search_documents"));
        Assert.Equal(0, _world.CountRows("SELECT COUNT(*) FROM search_postings WHERE term LIKE 'xylo%'"));
        Assert.Equal(_world.CountRows("SELECT SUM(term_count) FROM search_documents"),
            _world.CountRows("SELECT SUM(term_count) FROM search_indexes"));
        Assert.Empty(_world.Retriever.Search(Ours, "agt_1", "xylograph Zebulon", 5));
        Assert.Single(_world.Retriever.Search(Ours, "agt_1", "harbour cranes", 5));
        Assert.Equal("not_found", (await RefusedAsync(() => _world.Documents.DeleteAsync(Ours, gone.Id))).Code.Code);
        Assert.Equal(kept.Id, Assert.Single(_world.Documents.List(Ours, "agt_1", null, null, 5)).Id);
    }

    [Fact]
    public async Task Delete_AllDocuments_LeavesNoWordInTheFile()
    {
        await _world.AddDemoAsync();
        var gone = await _world.AddAsync("The xylograph was carved by Zebulon. " + string.Join(' ',
            Enumerable.Range(0, 3_000).Select(number => $"filler{number}")));
        var path = _world.Database.Read(session => session.Single("PRAGMA database_list", row => row.GetString(2)))!;

        await _world.Documents.DeleteAsync(Ours, gone.Id);
        await _world.Database.WriteAsync(session => Documents.DeleteOfAgent(session, Ours, "agt_1"));

        foreach (var table in (string[])
            ["documents", "chunks", "search_indexes", "search_postings", "search_documents", "search_terms",
            "search_blocks"])
        {
            Assert.Equal(0, Rows(table));
        }

        _world.Database.Dispose();
        Assert.DoesNotContain("xylograph", Encoding.Latin1.GetString(await System.IO.File.ReadAllBytesAsync(path,
            TestContext.Current.CancellationToken)), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Delete_InAnyOrder_LeavesTheOthersFindable()
    {
        var ids = new List<(string Id, int Number)>();
        for (var i = 0; i < 12; i++)
        {
            var text = string.Join("\n\n", Enumerable.Range(0, 60).Select(part => $"# Part {part}\n\nCommon word{i}."));
            ids.Add(((await _world.AddAsync(text)).Id, i));
        }

        foreach (var (id, number) in ids.Where(entry => entry.Number % 3 != 1))
        {
            await _world.Documents.DeleteAsync(Ours, id);
            Assert.Empty(_world.Retriever.Search(Ours, "agt_1", $"word{number}", 5));
        }

        Assert.All(ids.Where(entry => entry.Number % 3 == 1), entry => Assert.All(
            _world.Retriever.Search(Ours, "agt_1", $"word{entry.Number}", 100),
            found => Assert.Equal(entry.Id, found.Chunk.DocumentId)));
        Assert.Equal(4 * 60, _world.Retriever.Search(Ours, "agt_1", "common", 1_000).Count);
        Assert.Equal(4 * 60, _world.CountRows("SELECT chunk_count FROM search_indexes"));
    }

    [Fact]
    public async Task HasReady_FollowsEveryChange()
    {
        Assert.False(_world.Documents.HasReady(Ours, "agt_1"));
        var id = (await _world.AddAsync("Words.")).Id;
        Assert.True(_world.Documents.HasReady(Ours, "agt_1"));
        Assert.False(_world.Documents.HasReady(Ours, "agt_2"));
        Assert.False(_world.Documents.HasReady(Theirs, "agt_1"));
        await _world.Documents.DeleteAsync(Ours, id);
        Assert.False(_world.Documents.HasReady(Ours, "agt_1"));
    }

    [Fact]
    public async Task Chunks_Pages_InTheOrderOfTheText()
    {
        var document = await _world.AddAsync(string.Join("\n\n", Enumerable.Range(0, 5)
            .Select(number => $"# Part {number}\n\nText \U0001F600 of part {number}.")));

        var first = _world.Documents.Chunks(Ours, document.Id, null, 2);
        var rest = _world.Documents.Chunks(Ours, document.Id, first[1].Id, 10);

        Assert.Equal(Enumerable.Range(0, 5), first.Concat(rest).Select(chunk => chunk.Index));
        Assert.Equal(first[1].End, rest[0].Start);
        Assert.Equal(5, document.ChunkCount);
    }

    private long Rows(string table) => table switch
    {
        "documents" => _world.CountRows("SELECT COUNT(*) FROM documents"),
        "chunks" => _world.CountRows("SELECT COUNT(*) FROM chunks"),
        "search_indexes" => _world.CountRows("SELECT COUNT(*) FROM search_indexes"),
        "search_postings" => _world.CountRows("SELECT COUNT(*) FROM search_postings"),
        "search_terms" => _world.CountRows("SELECT COUNT(*) FROM search_terms"),
        "search_blocks" => _world.CountRows("SELECT COUNT(*) FROM search_blocks"),
        _ => _world.CountRows("SELECT COUNT(*) FROM search_documents"),
    };
}
