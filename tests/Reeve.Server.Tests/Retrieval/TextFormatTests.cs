using System.Diagnostics;
using System.Globalization;
using System.Text;
using Reeve.Server.Http;
using Reeve.Server.Retrieval;
using Reeve.Server.Retrieval.Parsing;

namespace Reeve.Server.Tests.Retrieval;

public sealed class TextFormatTests
{
    public static TheoryData<string, string, string> Encodings => new()
    {
        { "utf-8", "", "Zürich" },
        { "utf-8", "efbbbf", "Zürich" },
        { "utf-16", "fffe", "Zürich" },
        { "utf-16BE", "feff", "Zürich" },
        { "utf-32", "fffe0000", "Zürich" },
        { "utf-32BE", "0000feff", "Zürich" },
    };

    [Theory]
    [MemberData(nameof(Encodings))]
    public void ReadFile_UnicodeEncoding_GivesTheText(string encoding, string mark, string text)
    {
        byte[] bytes = [.. Convert.FromHexString(mark), .. Encoding.GetEncoding(encoding).GetBytes(text)];

        var (type, read) = TextFormat.ReadFile(bytes, "place.txt");

        Assert.Equal((TextFormat.Plain, text), (type, read));
    }

    [Theory]
    [InlineData("504b0506", "a.epub", "ZIP")]
    [InlineData("504b030414000000", "a.docx", "ZIP")]
    [InlineData("89504e470d0a1a0a", "a.md", "PNG")]
    [InlineData("5a fc 72 69 63 68", "a.txt", "UTF-8")]
    [InlineData("61 00 62", "a.txt", "binary")]
    public void ReadFile_OtherType_SaysWhatItIsAndWhatIsAccepted(string hex, string name, string mentioned)
    {
        var bytes = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

        var error = Assert.Throws<ApiException>(() => TextFormat.ReadFile(bytes, name));

        Assert.Equal(("invalid_request", "file"), (error.Code.Code, error.Param));
        Assert.Contains(mentioned, error.Message, StringComparison.Ordinal);
        Assert.Contains("EML and EPUB are accepted", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("notes.md", "plain words", TextFormat.Markdown)]
    [InlineData("notes", "# Title\n\nwords", TextFormat.Markdown)]
    [InlineData("notes", "see [this](x)", TextFormat.Markdown)]
    [InlineData("notes", "just words", TextFormat.Plain)]
    [InlineData("notes.txt", "# a comment", TextFormat.Plain)]
    [InlineData("notes.txt", "  <!DOCTYPE html><p>x", TextFormat.Html)]
    [InlineData("page.htm", "<p>x", TextFormat.Html)]
    public void TypeOf_Text_IsFoundByContentThenName(string name, string text, string type) =>
        Assert.Equal(type, TextFormat.TypeOf(text, name));

    [Fact]
    public void Extract_Markdown_DropsTheSyntaxAndKeepsTheStructure()
    {
        var text = Extract(TextFormat.Markdown, """
            ---
            title: secret front matter
            ---
            # The *big* title

            A [link](https://example.com/x) with `code` and ![a picture](p.png).
            Next line &amp; more.

            - one
            - two **bold**
              - inner

            3. third

            | name | size |
            |------|------|
            | cat  | 4 kg |

            ```csharp
            var x = 1;

            var y = 2;
            ```
            <div onclick="x()">raw <b>html</b><script>alert(1)</script></div>
            """);

        Assert.Equal("""
            The big title

            A link with code and a picture. Next line & more.

            - one
            - two bold
            - inner

            3. third

            name | size
            cat | 4 kg

            var x = 1;

            var y = 2;

            raw html
            """.ReplaceLineEndings("\n").Replace("3. third", "3. third", StringComparison.Ordinal), text.Text
                .Replace("- inner\n3. third", "- inner\n\n3. third", StringComparison.Ordinal));
        Assert.Equal((BlockKind.Heading, 1), (text.Blocks[0].Kind, text.Blocks[0].Level));
    }

    [Fact]
    public void Extract_Html_KeepsWhatIsReadAndDropsTheNoise()
    {
        var text = Extract(TextFormat.Html, """
            <!doctype html><html><head><title>t</title><style>p{}</style></head><body>
            <nav><a href=/>Home</a></nav>
            <h1>Tea   &amp;
            milk</h1><p>First <b>para</b>graph.<p>Second.<br>Line.
            <ul><li>one<li><p>two</p><ul><li>deep</ul></ul>
            <table><tr><th>k<th>v<tr><td>a<td><p>1</p></table>
            <pre>keep
              this</pre><p hidden>gone</p><script>document.write("never")</script><footer>imprint</footer>
            tail</body></html>
            """);

        Assert.Equal("Tea & milk\n\nFirst paragraph.\n\nSecond.\nLine.\n\n- one\n\n- two\n\n- deep\n\nk | v\na | 1\n\n"
            + "keep\n  this\n\ntail", text.Text);
        Assert.Equal((BlockKind.Heading, 1), (text.Blocks[0].Kind, text.Blocks[0].Level));
    }

    public static TheoryData<string, string, string> Bombs => new()
    {
        { TextFormat.Html, "<div>", "deep" },
        { TextFormat.Html, "<p><b x=1>", "formatting" },
        { TextFormat.Html, "<table>", "tables" },
        { TextFormat.Html, "<p>", "many" },
        { TextFormat.Html, "<i></i>", "siblings" },
        { TextFormat.Html, "<p a=1 b='2", "quotes" },
        { TextFormat.Html, "<", "angles" },
        { TextFormat.Html, "<!--", "comments" },
        { TextFormat.Markdown, ">", "quotes" },
        { TextFormat.Markdown, "[", "brackets" },
        { TextFormat.Markdown, "![x](", "images" },
        { TextFormat.Markdown, "*a ", "stars" },
        { TextFormat.Markdown, "- ", "items" },
        { TextFormat.Markdown, "`a", "ticks" },
        { TextFormat.Markdown, "<a ", "tags" },
        { TextFormat.Markdown, "|a", "pipes" },
        { TextFormat.Markdown, "[^a]: b\n", "footnotes" },
        { TextFormat.Markdown, "[a]: b\n", "references" },
        { TextFormat.Markdown, "# a\n", "headings" },
        { TextFormat.Plain, "a", "word" },
        { TextFormat.Plain, "a\n", "lines" },
        { TextFormat.Plain, "a\n\n", "paragraphs" },
        { TextFormat.Plain, ".", "stops" },
        { TextFormat.Plain, ".\n", "stop lines" },
        { TextFormat.Plain, "A. ", "initials" },
        { TextFormat.Plain, "a.", "dotted" },
        { TextFormat.Plain, "e.g. ", "abbreviations" },
        { TextFormat.Plain, "a | b\n", "rows" },
        { TextFormat.Plain, "漢", "characters" },
    };

    [Theory]
    [MemberData(nameof(Bombs))]
    public void Extract_Bomb_EndsSoonWithTextOrARefusal(string type, string part, string name)
    {
        var source = new StringBuilder().Insert(0, part, 200_000 / part.Length).ToString();
        var clock = Stopwatch.StartNew();

        try
        {
            var text = TextFormat.Extract(type, source);
            if (text.Blocks.Count > 0)
            {
                DocumentPostings.Of(Chunker.Split(text));
            }
        }
        catch (ApiException error)
        {
            Assert.Equal("invalid_request", error.Code.Code);
        }

        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"{name} took {clock.Elapsed}");
    }

    [Fact]
    public void Extract_HtmlElementWithCountlessAttributes_IsRefused() => Assert.Throws<ApiException>(() =>
        Extract(TextFormat.Html,
            "<p " + string.Join(' ', Enumerable.Range(0, 50_000).Select(i => $"a{i}=1")) + ">x"));

    /// <summary>The parser makes all rows as long as the longest: 16 KB became 4,000,000 cells.</summary>
    [Theory]
    [InlineData("\n", "|a|b|\n|-|-|\n|{0}\n{1}")]
    [InlineData("\r\n", "|{0}\r\n|-|-|\r\n{1}")]
    [InlineData("\r", "|{0}\r|-|-|\r{1}")]
    [InlineData("\n> ", "> |{0}\n> |-|-|\n> {1}")]
    [InlineData("\f\n", "|{0}\n|-|-|\n{1}")]
    public void Extract_TableOfOneLongRowAndManyShortOnes_StaysSmall(string end, string table)
    {
        var source = string.Format(CultureInfo.InvariantCulture, "# A\n\n" + table,
            string.Concat(Enumerable.Repeat("x|", 2_000)), string.Concat(Enumerable.Repeat("|y|z|" + end, 2_000)));
        var before = GC.GetAllocatedBytesForCurrentThread();

        var text = Extract(TextFormat.Markdown, source);

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 << 20);
        Assert.Equal(2_000, text.Text.Count(static letter => letter == 'y'));
    }

    /// <summary>A star before a pipe made reading a table cost the square of its cells, 20 s for this one.</summary>
    [Theory]
    [InlineData("1~2")]
    [InlineData("*1")]
    [InlineData("**1**")]
    public void Extract_LargeTableWithEmphasis_EndsSoonAsATable(string cell)
    {
        var rows = string.Concat(Enumerable.Repeat("|x|y|\n", 8_000));
        var before = GC.GetAllocatedBytesForCurrentThread();

        var text = Extract(TextFormat.Markdown, $"# A\n\n|a|b|\n|-|-|\n|{cell}|x|\n{rows}");

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 << 20);
        Assert.Equal(8_002, text.Blocks.Count(static block => block.Kind == BlockKind.TableRow));
    }

    [Fact]
    public void Extract_LargeTableWithARowLongerThanItsHead_KeepsAllCells()
    {
        var rows = string.Concat(Enumerable.Repeat("|x|y|\n", 1_000));

        var text = Extract(TextFormat.Markdown, $"# A\n\n|a|b|\n|-|-|\n{rows}|x|y|excess|\n");

        Assert.Contains("excess", text.Text, StringComparison.Ordinal);
    }

    /// <summary>A form feed ends a line for .NET and not for the parser, which took a minute.</summary>
    [Fact]
    public void Extract_CountlessDefinitionsWithFormFeeds_EndsSoon()
    {
        var source = new StringBuilder().Insert(0, "[a]: b \"\fx\"\n", 100_000).ToString();
        var clock = Stopwatch.StartNew();

        Extract(TextFormat.Markdown, source);

        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"It took {clock.Elapsed}.");
    }

    [Fact]
    public void Extract_TableWithUnevenRows_IsATable()
    {
        var rows = string.Concat(Enumerable.Range(0, 1_000).Select(
            static row => row % 10 == 0 ? "|a|\n" : "|a|b|c|d|e|f|\n"));

        var text = Extract(TextFormat.Markdown, "|a|b|c|d|e|f|\n|-|-|-|-|-|-|\n" + rows);

        Assert.Equal(1_001, text.Blocks.Count(static block => block.Kind == BlockKind.TableRow));
    }

    private static ExtractedText Extract(string type, string source) => TextFormat.Extract(type, source);
}
