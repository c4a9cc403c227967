using System.Diagnostics;
using System.Text;
using Reeve.Server.Http;
using Reeve.Server.Retrieval;
using Reeve.Server.Retrieval.Parsing;

namespace Reeve.Server.Tests.Retrieval;

public sealed class DocumentFormatTests
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

        var (type, read) = DocumentFormat.ReadFile(bytes, "place.txt");

        Assert.Equal((DocumentFormat.Plain, text), (type, read));
    }

    [Theory]
    [InlineData("255044462d312e37", "a.txt", "PDF")]
    [InlineData("504b030414000000", "a.docx", "Office")]
    [InlineData("89504e470d0a1a0a", "a.md", "PNG")]
    [InlineData("5a fc 72 69 63 68", "a.txt", "UTF-8")]
    [InlineData("61 00 62", "a.txt", "binary")]
    [InlineData("612c620a312c32", "a.csv", "CSV")]
    [InlineData("7b2261223a317d", "a", "JSON")]
    public void ReadFile_OtherType_SaysWhatItIsAndWhatIsAccepted(string hex, string name, string mentioned)
    {
        var bytes = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

        var error = Assert.Throws<ApiException>(() => DocumentFormat.ReadFile(bytes, name));

        Assert.Equal(("invalid_request", "file"), (error.Code.Code, error.Param));
        Assert.Contains(mentioned, error.Message, StringComparison.Ordinal);
        Assert.Contains("Markdown and HTML are accepted", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("notes.md", "plain words", DocumentFormat.Markdown)]
    [InlineData("notes", "# Title\n\nwords", DocumentFormat.Markdown)]
    [InlineData("notes", "see [this](x)", DocumentFormat.Markdown)]
    [InlineData("notes", "just words", DocumentFormat.Plain)]
    [InlineData("notes.txt", "# a comment", DocumentFormat.Plain)]
    [InlineData("notes.txt", "  <!DOCTYPE html><p>x", DocumentFormat.Html)]
    [InlineData("page.htm", "<p>x", DocumentFormat.Html)]
    public void TypeOf_Text_IsFoundByContentThenName(string name, string text, string type) =>
        Assert.Equal(type, DocumentFormat.TypeOf(text, name));

    [Fact]
    public void Extract_Markdown_DropsTheSyntaxAndKeepsTheStructure()
    {
        var text = Extract(DocumentFormat.Markdown, """
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
        var text = Extract(DocumentFormat.Html, """
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
        { DocumentFormat.Html, "<div>", "deep" },
        { DocumentFormat.Html, "<p><b x=1>", "formatting" },
        { DocumentFormat.Html, "<table>", "tables" },
        { DocumentFormat.Html, "<p>", "many" },
        { DocumentFormat.Html, "<i></i>", "siblings" },
        { DocumentFormat.Html, "<p a=1 b='2", "quotes" },
        { DocumentFormat.Html, "<", "angles" },
        { DocumentFormat.Html, "<!--", "comments" },
        { DocumentFormat.Markdown, ">", "quotes" },
        { DocumentFormat.Markdown, "[", "brackets" },
        { DocumentFormat.Markdown, "![x](", "images" },
        { DocumentFormat.Markdown, "*a ", "stars" },
        { DocumentFormat.Markdown, "- ", "items" },
        { DocumentFormat.Markdown, "`a", "ticks" },
        { DocumentFormat.Markdown, "<a ", "tags" },
        { DocumentFormat.Markdown, "|a", "pipes" },
        { DocumentFormat.Markdown, "[^a]: b\n", "footnotes" },
        { DocumentFormat.Markdown, "[a]: b\n", "references" },
        { DocumentFormat.Markdown, "# a\n", "headings" },
        { DocumentFormat.Plain, "a", "word" },
        { DocumentFormat.Plain, "a\n", "lines" },
        { DocumentFormat.Plain, "a\n\n", "paragraphs" },
        { DocumentFormat.Plain, ".", "stops" },
        { DocumentFormat.Plain, ".\n", "stop lines" },
        { DocumentFormat.Plain, "A. ", "initials" },
        { DocumentFormat.Plain, "a.", "dotted" },
        { DocumentFormat.Plain, "e.g. ", "abbreviations" },
        { DocumentFormat.Plain, "a | b\n", "rows" },
        { DocumentFormat.Plain, "漢", "characters" },
    };

    [Theory]
    [MemberData(nameof(Bombs))]
    public void Extract_Bomb_EndsSoonWithTextOrARefusal(string type, string part, string name)
    {
        var source = new StringBuilder().Insert(0, part, 200_000 / part.Length).ToString();
        var clock = Stopwatch.StartNew();

        try
        {
            var text = DocumentFormat.Extract(type, source);
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
        Extract(DocumentFormat.Html,
            "<p " + string.Join(' ', Enumerable.Range(0, 50_000).Select(i => $"a{i}=1")) + ">x"));

    private static ExtractedText Extract(string type, string source) => DocumentFormat.Extract(type, source);
}
