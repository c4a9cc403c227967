using CsCheck;
using Reeve.Server.Retrieval;
using Reeve.Server.Retrieval.Parsing;

namespace Reeve.Server.Tests.Retrieval;

public sealed class ChunkerTests
{
    private static readonly Gen<string> Words = Gen.OneOf(
        Gen.String[Gen.Char['a', 'z'], 1, 12],
        RetrievalWorld.AnyOf("# Head\n", "## Sub\n\n", "\n\n", "\n", "- item ", "```\ncode\n```\n",
            "| a | b |\n|---|---|\n| 1 | 2 |\n\n",
            "End. ", "What? ", "\U0001F600", "e\u0301", "\ud800", "  ", "\r\n", "> quote\n",
            "1. one\n", "<b>x</b>", "漢字。"));

    private static readonly Gen<string> Texts = Gen.OneOf(
        Words.Array[0, 400].Select(words => string.Concat(words.Select(word => word + " "))),
        Gen.String[0, 3_000],
        Gen.Int[0, 4_000].Select(count => string.Concat(Enumerable.Repeat("\U0001F600", count))));

    [Theory]
    [InlineData(TextFormat.Plain)]
    [InlineData(TextFormat.Markdown)]
    [InlineData(TextFormat.Html)]
    public void Split_AnyText_TilesItInScalarValues(string type) => Texts.Sample(source =>
    {
        var extracted = TextFormat.Extract(type, source);
        if (extracted.Blocks.Count == 0)
        {
            return;
        }

        var chunks = Chunker.Split(extracted);

        Assert.Equal(extracted.Text, string.Concat(chunks.Select(chunk => chunk.Text)));
        var position = 0;
        foreach (var chunk in chunks)
        {
            Assert.Equal(position, chunk.Start);
            position = chunk.End;
            Assert.Equal(chunk.End - chunk.Start, Reeve.Server.Http.RequestObject.ScalarCount(chunk.Text));
            Assert.False(char.IsHighSurrogate(chunk.Text[^1]) && position < extracted.Text.Length
                && extracted.Text.Contains("\ud83d\ude00", StringComparison.Ordinal) && chunk.Text[^1] == '\ud83d');
            Assert.True(chunk.Text.TrimEnd().Length <= Chunker.CharactersMax);
        }
    }, iter: 400);

    [Fact]
    public void Split_Headings_BeginChunksAndNameThePath()
    {
        var chunks = Split("# Guide\n\n## Start\n\nPress the button.\n\n## Stop\n\nPull the plug.\n");

        Assert.Equal(2, chunks.Count);
        Assert.Equal(["Guide", "Start"], chunks[0].Headings);
        Assert.Equal("Guide\n\nStart\n\nPress the button.\n\n", chunks[0].Text);
        Assert.Equal(["Guide", "Stop"], chunks[1].Headings);
    }

    [Fact]
    public void Split_LongParagraph_IsCutBetweenSentences()
    {
        var sentences = Enumerable.Range(1, 60).Select(number =>
            $"Sentence {number} says that Mr. Smith owns item {number}.");

        var chunks = Split(string.Join(' ', sentences));

        Assert.True(chunks.Count >= 3);
        Assert.All(chunks, chunk =>
        {
            Assert.StartsWith("Sentence ", chunk.Text, StringComparison.Ordinal);
            Assert.EndsWith(".", chunk.Text.TrimEnd(), StringComparison.Ordinal);
            Assert.InRange(chunk.Text.Length, 1, Chunker.TargetCharacters);
        });
    }

    [Fact]
    public void Split_ManyShortParagraphs_FillsChunksToTheTarget()
    {
        var chunks = Split(string.Join("\n\n", Enumerable.Repeat("A paragraph of a hundred letters, more or less, "
            + "so that some nine of them fill one chunk of text.", 40)));

        Assert.All(chunks.SkipLast(1), chunk => Assert.InRange(chunk.Text.Length, 700, Chunker.TargetCharacters));
    }

    private static List<ChunkRange> Split(string markdown) =>
        Chunker.Split(TextFormat.Extract(TextFormat.Markdown, markdown));
}
