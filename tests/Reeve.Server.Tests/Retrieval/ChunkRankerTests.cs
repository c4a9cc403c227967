using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using static Reeve.Server.Tests.Retrieval.RetrievalWorld;

namespace Reeve.Server.Tests.Retrieval;

/// <summary>The formula of the ranking, held against a plain computation of it from the texts.</summary>
public sealed class ChunkRankerTests : IDisposable
{
    private static readonly string[] Vocabulary =
        ["zebra", "quartz", "violet", "anchor", "pepper", "lantern", "and", "the"];

    private readonly RetrievalWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task Search_AnyTexts_ScoresAsTheFormulaSays()
    {
        // More than one block, and documents that leave it again.
        var written = new List<string>();
        for (var i = 0; i < 600; i++)
        {
            // The number makes each text one of its own; it is a term like any other.
            written.Add($"{Words(i)} n{i}");
            await _world.AddAsync(written[^1]);
        }

        var documents = _world.Documents.List(Ours, "agt_1", null, null, 1_000);
        foreach (var document in documents.Where(static (_, index) => index % 9 == 0))
        {
            var chunk = Assert.Single(_world.Documents.Chunks(Ours, document.Id, null, 2));
            await _world.Documents.DeleteAsync(Ours, document.Id);
            written.Remove(chunk.Text);
        }

        foreach (var query in (string[])
            ["zebra", "zebra quartz", "the lantern of the pepper anchor", "n7 violet zebra quartz pepper",
            "lantern nowhere"])
        {
            var found = _world.Retriever.Search(Ours, "agt_1", query, 1_000);

            var expected = Scores(written, query).Where(static pair => pair.Score > 0)
                .OrderByDescending(static pair => pair.Score).ToList();
            Assert.Equal(expected.Count, found.Count);
            Assert.Equal(expected.Select(static pair => pair.Score), found.Select(static item => item.Score));
            Assert.All(found, item => Assert.Contains((item.Chunk.Text, item.Score), expected));
            Assert.Equal(found.Take(7).Select(static item => item.Chunk.Id),
                _world.Retriever.Search(Ours, "agt_1", query, 7).Select(static item => item.Chunk.Id));
        }
    }

    [Fact]
    public async Task Search_SameWordsNearer_ComeFirst()
    {
        await _world.AddAsync("The quartz was cut by hand in the old workshop and later came the lantern.", "far.md");
        await _world.AddAsync("The old workshop came later and was cut by the hand in the quartz lantern.", "near.md");

        Assert.Equal(["near.md", "far.md"],
            _world.Retriever.Search(Ours, "agt_1", "quartz lantern", 5).Select(static found => found.Name));
    }

    [Fact]
    public async Task Search_WordInAHeading_CountsTwice()
    {
        await _world.AddAsync("Brief\n\nThe quartz lies in a drawer.", "body.md");
        await _world.AddAsync("# Quartz\n\nBrief it lies in a drawer.", "heading.md");

        Assert.Equal(["heading.md", "body.md"],
            _world.Retriever.Search(Ours, "agt_1", "quartz", 5).Select(static found => found.Name));
    }

    // The order of blinded words would be a cipher of the text, word for word.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Search_ConfidentialDocuments_TellNotWhichWordsAreNear(bool becomes)
    {
        foreach (var text in (string[])
            ["The quartz was cut by hand in the old workshop and later came the lantern.",
            "The old workshop came later and was cut by the hand in the quartz lantern."])
        {
            var added = await _world.AddAsync(Ours, "agt_1", Text(text) with
            {
                PrivacyClass = becomes ? PrivacyClass.Standard : PrivacyClass.Confidential,
            });
            if (becomes)
            {
                await _world.Documents.PatchAsync(
                    Ours, added.Document.Id, new DocumentPatch(null, PrivacyClass.Confidential, null));
            }
        }

        var found = _world.Retriever.Search(Ours, "agt_1", "quartz lantern", 5);

        Assert.Equal(2, found.Count);
        Assert.Equal(found[0].Score, found[1].Score);
    }

    [Fact]
    public async Task Search_FilterThatFitsOneOfManyBetterDocuments_FindsIt()
    {
        for (var i = 0; i < 120; i++)
        {
            await _world.AddAsync(Ours, "agt_1", Text($"Quartz quartz {i}") with { Metadata = Json("usual") });
        }

        await _world.AddAsync(Ours, "agt_1",
            Text("A long text in which the quartz is met but once.", "rare.md") with { Metadata = Json("rare") });

        Assert.Equal("rare.md", Assert.Single(
            _world.Retriever.Search(Ours, "agt_1", "quartz", 5, filter: Json("rare"))).Name);
    }

    private static System.Text.Json.JsonElement Json(string kind) =>
        System.Text.Json.JsonElement.Parse($$"""{"kind":"{{kind}}"}""");

    /// <summary>Up to ninety words, the same at each call.</summary>
    private static string Words(int number)
    {
        var state = (uint)number;
        uint Next(uint below) => (state = (state * 1_664_525) + 1_013_904_223) / 65_536 % below;
        return string.Join(' ', Enumerable.Range(0, 1 + (int)Next(number % 3 == 0 ? 3u : 90u))
            .Select(_ => Vocabulary[Next((uint)Vocabulary.Length)]));
    }

    private static List<(string Text, double Score)> Scores(List<string> texts, string query)
    {
        var terms = query.Split(' ').Where(static word => word is not ("the" or "of")).Select(Term).ToArray();
        var all = texts.ConvertAll(static text => Array.ConvertAll(text.Split(' '), Term));
        var mean = all.Average(static words => words.Length);
        var weights = Array.ConvertAll(terms, term =>
        {
            var holding = all.Count(words => words.Contains(term));
            return Math.Log(1 + ((all.Count - holding + 0.5) / (holding + 0.5)));
        });
        return [.. texts.Select((text, index) =>
            (text, Math.Round(Score(all[index], terms, weights, all[index].Length / mean), 4)))];
    }

    private static double Score(string[] words, string[] terms, double[] weights, double length)
    {
        var (score, best) = (0.0, 0.0);
        for (var i = 0; i < terms.Length; i++)
        {
            var count = words.Count(word => word == terms[i]);
            score += weights[i] * count / (count + (1.2 * (0.25 + (0.75 * length))));
            best += weights[i];
            for (var j = 0; j < i; j++)
            {
                var pair = 0.46 * Math.Min(weights[i], weights[j]) * 1.3;
                var distance = Distance(words, terms[i], terms[j]);
                score += distance <= 8 ? pair / (1 + (0.3 * distance * distance)) : 0;
                best += i - j <= 8 ? pair / (1 + (0.3 * (i - j) * (i - j))) : 0;
            }
        }

        return Math.Min(1, score / best);
    }

    private static int Distance(string[] words, string one, string other) => words.Index()
        .Where(word => word.Item == one)
        .SelectMany(word => words.Index().Where(near => near.Item == other)
            .Select(near => Math.Abs(near.Index - word.Index)))
        .DefaultIfEmpty(int.MaxValue).Min();

    private static string Term(string word) =>
        Reeve.Server.Inference.Providers.Builtin.TermReader.TermsOf(word).Single();
}
