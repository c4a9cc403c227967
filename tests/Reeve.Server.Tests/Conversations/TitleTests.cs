using Reeve.Server.Conversations;

namespace Reeve.Server.Tests.Conversations;

public sealed class TitleTests
{
    [Theory]
    [InlineData("What does it promise?", "What does it promise?")]
    [InlineData("  two\n\n lines\t", "two lines")]
    [InlineData("", "")]
    [InlineData("a\u0007b", "a b")]
    public void From_ShortInput_IsOneLine(string input, string expected) => Assert.Equal(expected, Title.From(input));

    [Fact]
    public void From_LongInput_IsCutOnAWord()
    {
        var words = string.Join(' ', Enumerable.Repeat("seven77", 20));
        Assert.Equal(words[..79], Title.From(words)); // Ten words and nine spaces.
        Assert.Equal(new string('a', 80), Title.From(new string('a', 80) + " b"));
        Assert.Equal(new string('a', 79), Title.From(new string('a', 79) + " bc"));
        Assert.Equal(new string('a', 80), Title.From(new string('a', 200)));
    }

    [Fact]
    public void From_Emoji_CountsWholeCharacters() =>
        Assert.Equal(160, Title.From(string.Concat(Enumerable.Repeat("😀", 100))).Length);
}
