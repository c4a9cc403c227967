using CsCheck;
using Reeve.Server.Inference.Providers.Builtin;
using Reeve.Server.Tests.Retrieval;

namespace Reeve.Server.Tests.Inference.Providers;

public sealed class TextTests
{
    // From Porter's paper and his published vocabulary.
    [Theory]
    [InlineData("caresses", "caress")]
    [InlineData("ponies", "poni")]
    [InlineData("cats", "cat")]
    [InlineData("agreed", "agre")]
    [InlineData("plastered", "plaster")]
    [InlineData("motoring", "motor")]
    [InlineData("sing", "sing")]
    [InlineData("conflated", "conflat")]
    [InlineData("hopping", "hop")]
    [InlineData("falling", "fall")]
    [InlineData("filing", "file")]
    [InlineData("happy", "happi")]
    [InlineData("sky", "sky")]
    [InlineData("relational", "relat")]
    [InlineData("conditional", "condit")]
    [InlineData("digitizer", "digit")]
    [InlineData("vietnamization", "vietnam")]
    [InlineData("hopefulness", "hope")]
    [InlineData("electrical", "electr")]
    [InlineData("replacement", "replac")]
    [InlineData("adoption", "adopt")]
    [InlineData("probate", "probat")]
    [InlineData("cease", "ceas")]
    [InlineData("controlling", "control")]
    [InlineData("generalizations", "gener")]
    [InlineData("oscillators", "oscil")]
    public void Stem_Word_IsPorters(string word, string stem) => Assert.Equal([stem], TermReader.TermsOf(word));

    [Theory]
    [InlineData("Zürich's ÉLAN", "zurich s elan")]
    [InlineData("e\u0301lan x-mesh_id 8,000", "elan x mesh id 8 000")]
    [InlineData("東京都", "東京 京都")]
    [InlineData("Ωmega παρά ", "ωmega παρά")]
    [InlineData("a\u00ADb", "ab")]
    public void Terms_Text_AreFolded(string text, string terms) =>
        Assert.Equal(terms.Split(' '), TermReader.TermsOf(text));

    [Fact]
    public void Terms_AnyText_NeverFailsAndIsTheSameInPieces() => Gen.String[0, 300].Sample(text =>
    {
        var whole = TermReader.TermsOf(text);

        Assert.Equal(whole, TermReader.TermsOf(string.Join(' ', [text, ""])));
        Assert.All(whole, term => Assert.InRange(term.Length, 1, 65));
    });

    [Theory]
    [InlineData("Mr. Smith came. He left!", 2)]
    [InlineData("It costs 1.5 dollars, e.g. today. Really?", 2)]
    [InlineData("J. R. Tolkien wrote it. The U.S. Army read it.", 2)]
    [InlineData("First\n\nSecond", 2)]
    [InlineData("Read:\n- one thing\n- two things", 3)]
    [InlineData("hard\nwrapped line. Next.", 2)]
    [InlineData("a | b\nc | d", 2)]
    [InlineData("これは文です。次の文です。", 2)]
    [InlineData("He said \"Stop.\" Then he went.", 2)]
    public void Split_Text_FindsTheSentences(string text, int count) =>
        Assert.Equal(count, Sentences.Split(text).Count);

    [Fact]
    public void Split_AnyText_TilesIt() =>
        Gen.OneOf(Gen.String[0, 300], RetrievalWorld.AnyOf("A. ", "b", "\n", "? ", "- ", "1. ", " | ", ".", "漢。")
            .Array[0, 80].Select(string.Concat)).Sample(text =>
            Assert.Equal(text, string.Concat(Sentences.Split(text).Select(range => text[range]))));
}
