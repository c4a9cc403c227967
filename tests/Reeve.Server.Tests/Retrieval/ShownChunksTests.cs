using System.Text.Json;
using static Reeve.Server.Tests.Retrieval.RetrievalWorld;

namespace Reeve.Server.Tests.Retrieval;

/// <summary>Copies of a passage take one place of a search, and what only resembles it keeps its own.</summary>
public sealed class ShownChunksTests : IDisposable
{
    private const string Rule = "The lantern on the pier burns for nine hours, and its keeper fills in 3.5 litres.";

    private readonly RetrievalWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task Search_SamePassageInSeveralDocuments_TakesOnePlace()
    {
        await _world.AddAsync(Rule, "first.md");
        await _world.AddAsync("The **lantern** on the pier\nburns for nine hours, and its keeper fills in 3.5 "
            + "litres.", "marks.md");
        await _world.AddAsync($"> {Rule}", "quoted.md");
        await _world.AddAsync(Rule.ToUpperInvariant(), "capitals.md");
        await _world.AddAsync("A lantern hangs in the cellar too.", "cellar.md");

        Assert.Equal(["first.md", "cellar.md"], Names("lantern pier", 2));
        Assert.Equal(["first.md", "cellar.md"], Names("lantern pier", 50));
    }

    [Fact]
    public async Task Search_MoreCopiesThanPlaces_FindsTheOthersBehindThem()
    {
        await _world.AddAsync($"{Rule} Whoever lights it signs the book.", "longest.md");
        for (var i = 0; i < 40; i++)
        {
            await _world.AddAsync($"{Rule}{new string(' ', i)}\n", $"copy{i}.md");
        }

        await _world.AddAsync("In a long text about the harbour and its boats a lantern is met but once.", "last.md");

        Assert.Equal(["copy0.md", "longest.md", "last.md"], Names("lantern pier hours", 3));
        Assert.Equal(["copy0.md"], Names("lantern pier hours", 1));
    }

    [Theory]
    [InlineData("The lantern on the pier burns for ten hours, and its keeper fills in 3.5 litres.")]
    [InlineData("The lantern on the pier burns for nine hours, and its keeper fills in 35 litres.")]
    [InlineData("The lantern on the pier burns for nine hours, and its keeper fills in 13.5 litres.")]
    [InlineData("The lantern on the pier burns for nine hours, and its keeper fills in -3.5 litres.")]
    [InlineData("The lantern on the pier burns not for nine hours, and its keeper fills in 3.5 litres.")]
    [InlineData("The lantern on the pier burns for nine hours, and its keeper fills in 3.5 litres. Not in May.")]
    public async Task Search_WhatSaysSomethingElse_KeepsItsPlace(string other)
    {
        await _world.AddAsync(Rule);
        await _world.AddAsync(other);

        Assert.Equal(2, Names("lantern pier keeper", 5).Count);
    }

    [Fact]
    public async Task Search_SameWordsUnderOtherHeadings_KeepTheirPlaces()
    {
        await _world.AddAsync(Sections("Orla"), "orla.md");
        await _world.AddAsync(Sections("Tarn"), "tarn.md");
        await _world.AddAsync(Sections("Orla") + "\n", "again.md");

        Assert.Equal(["orla.md", "tarn.md"], Names("ferry leaves morning", 20).Distinct());
        Assert.Equal(4, Names("ferry leaves morning", 20).Count);

        // Two chunks: of the second only its headings tell which harbour it is of.
        static string Sections(string harbour) => $"# {harbour}\n\n{Paragraph("The ferry leaves each morning. ")}\n\n"
            + Paragraph("The ferry that leaves in the morning is white. ");

        static string Paragraph(string sentence) => string.Concat(Enumerable.Repeat(sentence, 18));
    }

    [Fact]
    public async Task Search_Filter_FindsACopyThatFitsAndIsNotTheBest()
    {
        await _world.AddAsync(Rule, "first.md");
        await _world.AddAsync(Ours, "agt_1", Text(Rule + "\n", "second.md") with
        {
            Metadata = JsonElement.Parse("""{"year":2027}"""),
        });

        Assert.Equal(["first.md"], Names("lantern", 5));
        Assert.Equal("second.md", Assert.Single(_world.Retriever.Search(
            Ours, "agt_1", "lantern", 5, filter: JsonElement.Parse("""{"year":2027}"""))).Name);
    }

    [Fact]
    public async Task Search_TheShownCopyIsDeleted_ShowsTheOther()
    {
        var first = await _world.AddAsync(Rule, "first.md");
        await _world.AddAsync(Rule + "\n", "second.md");

        await _world.Documents.DeleteAsync(Ours, first.Id);

        Assert.Equal(["second.md"], Names("lantern", 5));
    }

    private List<string> Names(string query, int limit) =>
        [.. _world.Retriever.Search(Ours, "agt_1", query, limit).Select(static found => found.Name)];
}
