using System.Text.Json;
using CsCheck;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using static Reeve.Server.Tests.Retrieval.RetrievalWorld;

namespace Reeve.Server.Tests.Retrieval;

public sealed class RetrieverTests : IDisposable
{
    private readonly RetrievalWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task Search_Question_FindsStemsBestFirst()
    {
        await _world.AddAsync("# Ships\n\nThe harbour master counts the arriving ships every morning.", "ships.md");
        await _world.AddAsync("# Bread\n\nA baker's oven is heated at night.", "bread.md");

        var found = _world.Retriever.Search(Ours, "agt_1", "When does the harbor master count an arrived ship?", 5);

        var best = Assert.Single(found);
        Assert.Equal("ships.md", best.Name);
        Assert.InRange(best.Score, 0.2, 1);
        Assert.Equal(["Ships"], best.Chunk.Headings);
    }

    [Fact]
    public async Task Search_AnyQuery_ScoresWithinBoundsInOrderAndNeverThrows()
    {
        await _world.AddDemoAsync();
        var words = RetrievalWorld.AnyOf("privacy", "credits", "\"", "*", "NEAR(", "AND", "OR NOT", "agt_1:", "{", "^",
            "-", "'", "日本語", "\ud800", "\0", "e\u0301", "(", ")", "hold", "stream", "the", "𝔘𝔫𝔦");
        Gen.OneOf(Gen.String[0, 200], words.Array[0, 30].Select(parts => string.Join(' ', parts))).Sample(query =>
        {
            var found = _world.Retriever.Search(Ours, "agt_1", query, 10);

            Assert.True(found.Count <= 10);
            Assert.All(found, item => Assert.InRange(item.Score, 0.0001, 1));
            Assert.All(found, item => Assert.Equal(Math.Round(item.Score, 4), item.Score));
            Assert.Equal(found.OrderByDescending(item => item.Score).Select(item => item.Score),
                found.Select(item => item.Score));
        }, iter: 1_000);
    }

    [Fact]
    public async Task Search_SaturatedChunk_ReachesTheBoundAlmost()
    {
        await _world.AddAsync(string.Join(' ', Enumerable.Repeat("zeppelin", 150)));
        await _world.AddAsync("Nothing of that kind stands here.");

        var found = Assert.Single(_world.Retriever.Search(Ours, "agt_1", "zeppelin", 5));

        Assert.InRange(found.Score, 0.95, 1);
    }

    [Fact]
    public async Task Search_OtherTenantsDocuments_ChangeNothing()
    {
        await _world.AddAsync("The lighthouse keeper reads.");
        await _world.AddAsync("The gardener digs.");
        var before = _world.Retriever.Search(Ours, "agt_1", "lighthouse keeper", 5);

        for (var i = 0; i < 20; i++)
        {
            await _world.AddAsync(Theirs, "agt_3", Text($"The lighthouse keeper number {i} sleeps."));
            await _world.AddAsync($"A lighthouse for agent two, number {i}.", agent: "agt_2");
        }

        Assert.Equal(before.Select(item => (item.Chunk.Id, item.Score)),
            _world.Retriever.Search(Ours, "agt_1", "lighthouse keeper", 5).Select(item => (item.Chunk.Id, item.Score)));
    }

    [Fact]
    public async Task Search_LimitScoreAndFilter_NarrowTheAnswer()
    {
        for (var i = 0; i < 6; i++)
        {
            await _world.AddAsync(Ours, "agt_1", Text($"The violin number {i} is red.") with
            {
                Metadata = JsonElement.Parse($$"""{"shelf":{{i % 2}},"tags":["x",{{i}}]}"""),
            });
        }

        Assert.Equal(4, Search(4).Count);
        Assert.Empty(_world.Retriever.Search(Ours, "agt_1", "violin bassoon trumpet", 5, minScore: 0.6));
        Assert.Equal(3, Search(10, """{"shelf":1}""").Count);
        Assert.Equal(3, Search(10, """{"shelf":1.0}""").Count);
        Assert.Single(Search(10, """{"shelf":1,"tags":["x",3]}"""));
        Assert.Empty(Search(10, """{"shelf":"1"}"""));
        Assert.Equal(6, Search(10, "{}").Count);

        IReadOnlyList<RetrievedChunk> Search(int limit, string? filter = null) => _world.Retriever.Search(Ours, "agt_1",
            "violin", limit, 0, filter is null ? null : JsonElement.Parse(filter));
    }

    [Fact]
    public async Task Search_HeadingAbove_CountsForEveryChunkUnderIt()
    {
        var body = string.Join("\n\n", Enumerable.Range(0, 12).Select(number =>
            $"Paragraph {number} talks at length of clocks, wheels and springs, and of how a watchmaker in the old "
            + "town cleans them, oils them and sets them going again before winter comes."));
        await _world.AddAsync($"# Horology\n\n{body}");

        Assert.True(_world.Retriever.Search(Ours, "agt_1", "horology", 10).Count > 1);
    }

    [Fact]
    public async Task Search_OnlyStopWordsOrNothing_IsHarmless()
    {
        await _world.AddAsync("To be or not to be.");

        Assert.Single(_world.Retriever.Search(Ours, "agt_1", "to be or not to be", 5));
        Assert.Empty(_world.Retriever.Search(Ours, "agt_1", "?!", 5));
        Assert.Empty(_world.Retriever.Search(Ours, "agt_2", "be", 5));
    }

    [Fact]
    public async Task Search_ClassOfTheDocument_ComesWithTheChunk()
    {
        await _world.AddAsync(Ours, "agt_1",
            Text("The vault code is written here.") with { PrivacyClass = PrivacyClass.Confidential });

        var found = Assert.Single(_world.Retriever.Search(Ours, "agt_1", "vault code", 5));

        Assert.Equal(PrivacyClass.Confidential, found.PrivacyClass);
        Assert.Equal((found.Chunk.Id, found.Score), (found.ToSource().ChunkId, found.ToSource().Score));
    }

    [Theory]
    [InlineData("and in Europe?", "and in Europe?\nHow many ships sail in Asia?")]
    [InlineData("Why is that?", "Why is that?\nHow many ships sail in Asia?")]
    [InlineData("How many harbours does Norway have?", "How many harbours does Norway have?")]
    public void Build_FollowUp_TakesTheTurnBefore(string input, string query) =>
        Assert.Equal(query,
            RetrievalQuery.Build(input, ["An older one about tea leaves.", "How many ships sail in Asia?"]));
}
