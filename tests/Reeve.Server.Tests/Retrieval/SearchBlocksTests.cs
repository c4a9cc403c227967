using CsCheck;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using static Reeve.Server.Tests.Retrieval.RetrievalWorld;

namespace Reeve.Server.Tests.Retrieval;

/// <summary>The blocks of an index, while documents come, change and go.</summary>
public sealed class SearchBlocksTests
{
    /// <summary>A document of so many chunks: three of them fill a block, the fourth begins another.</summary>
    private const int Parts = 150;

    private static readonly string[] Words =
        ["quartz", "violet", "anchor", "pepper", "lantern", "zebra", "harbour", "the", "of"];

    [Fact]
    public async Task Replace_OverAndOver_LeavesNoBlocksToLookInto()
    {
        using var world = new RetrievalWorld();
        var ids = new List<string>();
        for (var i = 0; i < 12; i++)
        {
            ids.Add((await world.AddAsync(Text(i, 0))).Id);
        }

        var before = BlockCount(world);
        for (var round = 1; round <= 20; round++)
        {
            for (var i = 0; i < ids.Count; i++)
            {
                await world.Documents.ReplaceAsync(
                    Ours, ids[i], RetrievalWorld.Text(Text(i, round)), TestContext.Current.CancellationToken);
            }

            Assert.InRange(BlockCount(world), 1, before + 1);
        }

        Assert.Equal(ids[7], world.Retriever.Search(Ours, "agt_1", "note7 round20", 1)[0].Chunk.DocumentId);
        Assert.Empty(world.Retriever.Search(Ours, "agt_1", "round19", 1));

        // All but one of a block: what is added then takes their room.
        foreach (var id in ids.Where(static (_, index) => index % 4 != 0))
        {
            await world.Documents.DeleteAsync(Ours, id);
        }

        for (var i = 0; i < 6; i++)
        {
            await world.AddAsync(Text(100 + i, 0));
        }

        Assert.InRange(BlockCount(world), 1, before);
        AssertCounted(world);
    }

    [Fact]
    public async Task Replace_SmallDocumentThousandsOfTimes_StaysInOneBlockBesideTheFullOnes()
    {
        using var world = new RetrievalWorld();
        var first = await world.AddAsync("The small note number zero.");
        for (var i = 0; i < 4; i++)
        {
            await world.AddAsync(Text(i, 0));
        }

        var before = BlockCount(world);
        for (var i = 1; i <= 2_000; i++)
        {
            await world.Documents.ReplaceAsync(Ours, first.Id,
                RetrievalWorld.Text($"The small note number x{i}."), TestContext.Current.CancellationToken);
        }

        Assert.Equal(before, BlockCount(world));
        Assert.Single(world.Retriever.Search(Ours, "agt_1", "x2000", 5));
        AssertCounted(world);
    }

    [Fact]
    public async Task Search_AfterAnyChanges_EqualsThatOfAnIndexMadeAnew() => await Gen.Select(
        Gen.Int[0, 4], Gen.Int[0, 11], Gen.Int[0, 9]).List[8, 40].SampleAsync(async changes =>
        {
            using var world = new RetrievalWorld();
            var held = new Dictionary<int, (string Id, string Text, bool IsSealed)>();
            foreach (var (kind, key, variant) in changes)
            {
                await ChangeAsync(world, held, kind, key, Text(key, variant));
            }

            AssertCounted(world);
            var numbers = held.Values.ToDictionary(static one => one.Id, one => world.Database.Read(session =>
                DocumentStore.NumberOf(session, Ours, one.Id)!.Value));
            foreach (var (_, (_, text, isSealed)) in held.OrderBy(one => numbers[one.Value.Id]))
            {
                await world.AddAsync(Ours, "agt_2", RetrievalWorld.Text(text) with
                {
                    PrivacyClass = isSealed ? PrivacyClass.Confidential : PrivacyClass.Standard,
                });
            }

            foreach (var query in (string[])["quartz anchor", "violet pepper lantern zebra", "note3 harbour", "of the"])
            {
                var found = Found(world, "agt_1", query, 60);
                Assert.Equal(Found(world, "agt_2", query, 60), found);
                Assert.Equal(found.Take(7), Found(world, "agt_1", query, 7));
            }
        }, iter: 25);

    private static async Task ChangeAsync(RetrievalWorld world,
        Dictionary<int, (string Id, string Text, bool IsSealed)> held, int kind, int key, string text)
    {
        if (!held.TryGetValue(key, out var present))
        {
            held[key] = ((await world.AddAsync(text)).Id, text, false);
            return;
        }

        switch (kind)
        {
            case 0:
                await world.Documents.DeleteAsync(Ours, present.Id);
                held.Remove(key);
                break;
            case 1:
                await world.Documents.PatchAsync(
                    Ours, present.Id, new DocumentPatch(null, PrivacyClass.Confidential, null));
                held[key] = present with { IsSealed = true };
                break;
            default:
                await world.Documents.ReplaceAsync(
                    Ours, present.Id, RetrievalWorld.Text(text), TestContext.Current.CancellationToken);
                held[key] = present with { Text = text };
                break;
        }
    }

    private static List<(string Text, double Score)> Found(
        RetrievalWorld world, string agent, string query, int limit) =>
        [.. world.Retriever.Search(Ours, agent, query, limit).Select(static one => (one.Chunk.Text, one.Score))];

    private static int BlockCount(RetrievalWorld world) => world.Database.Read(session =>
        SearchIndexStore.Blocks(session, SearchIndexStore.Find(session, Ours, "agt_1")!.Number).Count);

    private static void AssertCounted(RetrievalWorld world) =>
        Assert.Equal(0, world.CountRows("SELECT count(*) FROM search_indexes s WHERE s.chunk_count IS NOT "
            + "(SELECT sum(b.chunk_count) FROM search_blocks b WHERE b.index_number = s.number) "
            + "OR s.chunk_count IS NOT (SELECT sum(d.chunk_count) FROM documents d WHERE d.agent_id = s.agent_id)"));

    /// <summary>A text of its own for each document and round; its chunks differ in words and in length.</summary>
    private static string Text(int number, int round)
    {
        var state = (uint)((number * 31) + round + 1);
        uint Next(uint below) => (state = (state * 1_664_525) + 1_013_904_223) / 65_536 % below;
        return $"note{number} round{round}\n\n" + string.Join("\n\n", Enumerable.Range(0, Parts).Select(part =>
            $"# P{part}\n\n" + string.Join(' ', Enumerable.Range(0, 1 + (int)Next(12))
                .Select(_ => Words[Next((uint)Words.Length)]))));
    }
}
