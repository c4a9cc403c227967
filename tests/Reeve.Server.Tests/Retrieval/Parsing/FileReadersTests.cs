using System.Text;
using Reeve.Server.Retrieval;
using Reeve.Server.Retrieval.Parsing;

namespace Reeve.Server.Tests.Retrieval.Parsing;

public sealed class FileReadersTests
{
    [Fact]
    public void Pdf_GivesParagraphsHeadingsAndPagesWithoutRunningLines()
    {
        var pages = Enumerable.Range(1, 4).Select(static number => ((int, int, string)[])
        [
            (9, 770, "The Tea Handbook"), (18, 720, $"Chapter {(char)('A' + number)}"),
            (11, 690, "Green tea is steeped in wa-"), (11, 676, "ter that does not boil,"),
            (11, 662, "for two minutes."), (11, 630, $"Second paragraph of {(char)('A' + number)}."),
            (11, 616, "- and an item"), (9, 30, $"Page {number} of 4"),
        ]).ToArray();

        var text = Read("book.pdf", SampleFiles.Pdf(pages), FileTypes.Pdf);

        Assert.Equal("Chapter B\n\nGreen tea is steeped in water that does not boil, for two minutes.\n\n"
            + "Second paragraph of B.\n\n- and an item\n\n", text.Text[..text.Text.IndexOf("Chapter C",
                StringComparison.Ordinal)]);
        Assert.DoesNotContain("Handbook", text.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("Page", text.Text, StringComparison.Ordinal);
        Assert.Equal((BlockKind.Heading, 1, 1), (text.Blocks[0].Kind, text.Blocks[0].Level, text.Blocks[0].Page));
        Assert.Equal(BlockKind.ListItem, text.Blocks[3].Kind);
        Assert.Equal([1, 2, 3, 4], Chunker.Split(text).Select(static chunk => chunk.Page ?? 0));
    }

    [Fact]
    public void Pdf_WithoutText_SaysWhatToDo() => AssertFails("scan.pdf", SampleFiles.Pdf([[]]),
        ParseErrors.NoText, "OCR");

    [Fact]
    public void Pdf_Encrypted_SaysSo() => AssertFails("a.pdf", SampleFiles.PdfOf(
        [
            "<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Count 0 /Kids [] >>",
            "<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <" + new string('1', 64) + "> /U <"
                + new string('2', 64) + "> >>",
        ], "/Encrypt 3 0 R /ID [<00><00>]"), ParseErrors.Encrypted, "The PDF is encrypted");

    [Fact]
    public void Docx_GivesHeadingsItemsAndRows()
    {
        var file = SampleFiles.Docx(SampleFiles.WordParagraph("Brewing", """<w:pStyle w:val="Kop2"/>""")
            + "<w:p><w:r><w:t>Two </w:t></w:r><w:del><w:r><w:delText>old </w:delText></w:r></w:del>"
            + "<w:ins><w:r><w:t>minutes</w:t><w:tab/><w:t>long.</w:t></w:r></w:ins></w:p>"
            + SampleFiles.WordParagraph("first", """<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>""")
            + $"<w:tbl>{Row("Leaf", "Heat")}{Row("green", "75 degrees")}</w:tbl>");

        var text = Read("tea.docx", file, FileTypes.Word);

        Assert.Equal("Brewing\n\nTwo minutes long.\n\n- first\n\nLeaf: green | Heat: 75 degrees", text.Text);
        Assert.Equal((BlockKind.Heading, 2), (text.Blocks[0].Kind, text.Blocks[0].Level));
        Assert.Equal(BlockKind.TableRow, text.Blocks[3].Kind);

        static string Row(params string[] cells) => "<w:tr>" + string.Concat(cells.Select(static cell =>
            $"<w:tc>{SampleFiles.WordParagraph(cell)}</w:tc>")) + "</w:tr>";
    }

    [Fact]
    public void Pptx_GivesSlidesAsPages()
    {
        var text = Read("talk.pptx", SampleFiles.Pptx(("Why tea", "It is warm."), ("How", "With water.")),
            FileTypes.Slides);

        Assert.Equal("Why tea\n\nIt is warm.\n\nHow\n\nWith water.", text.Text);
        Assert.Equal([1, 1, 2, 2], text.Blocks.Select(static block => block.Page ?? 0));
        Assert.Equal(BlockKind.Heading, text.Blocks[2].Kind);
    }

    [Fact]
    public void Xlsx_GivesRowsWithTheNamesOfColumnsAndIsoDates()
    {
        var file = SampleFiles.Xlsx("Stock", """
            <row r="1"><c r="A1" t="inlineStr"><is><t>Name</t></is></c><c r="B1" t="str"><v>Since</v></c>
            <c r="C1" t="str"><v>Kilos</v></c><c r="D1" t="str"><v>Fresh</v></c></row>
            <row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" s="1"><v>46000</v></c>
            <c r="C2"><v>0.10000000000000001</v></c>
            <c r="D2" t="b"><v>1</v></c></row>
            <row r="3"><c r="A3" t="s"><v>1</v></c><c r="C3" s="2"><v>46000.5</v></c></row>
            """);

        var text = Read("stock.xlsx", file, FileTypes.Sheets);

        Assert.Equal("Stock\n\nName: Tea | Since: 2025-12-09 | Kilos: 0.1 | Fresh: true\n"
            + "Name: Oolong spring | Kilos: 2025-12-09T12:00:00", text.Text);
        Assert.Equal([BlockKind.Heading, BlockKind.TableRow, BlockKind.TableRow],
            text.Blocks.Select(static block => block.Kind));
    }

    [Theory]
    [InlineData("name,price\n\"Tea, green\",4\nOolong,\"7 \"\"a\"\"\"\n",
        "name: Tea, green | price: 4\nname: Oolong | price: 7 \"a\"")]
    [InlineData("name;price\r\nTea;4,50\r\n\r\nOolong;7\r\n", "name: Tea | price: 4,50\nname: Oolong | price: 7")]
    [InlineData("1\t2\n3\t4", "1 | 2\n3 | 4")]
    public void Csv_GivesRowsWithTheNamesOfColumns(string source, string expected) =>
        Assert.Equal(expected, Read("a.csv", Encoding.UTF8.GetBytes(source), FileTypes.Csv).Text);

    [Fact]
    public void Json_GivesPathsUnderTheTopLevelNames()
    {
        var text = Read("a.json",
            """{"v":1,"shop":{"name":"Leaf","tags":["a",{"b":null}]},"open":[true]}"""u8.ToArray(),
            FileTypes.Json);

        Assert.Equal("v: 1\n\nshop\n\nshop.name: Leaf\nshop.tags[0]: a\nshop.tags[1].b: null\n\nopen\n\nopen[0]: true",
            text.Text);
        Assert.Equal(BlockKind.Heading, text.Blocks[1].Kind);
    }

    [Fact]
    public void Eml_GivesWhoWhenWhatAndNamesOfAttachments()
    {
        var file = Encoding.Latin1.GetBytes("""
            From: Ana <ana@example.com>
            To: Ben <ben@example.com>
            Subject: =?utf-8?q?Caf=C3=A9?= order
            Date: Fri, 20 Nov 2026 09:15:00 +0100
            MIME-Version: 1.0
            Content-Type: multipart/mixed; boundary=b

            --b
            Content-Type: text/plain; charset=iso-8859-1
            Content-Transfer-Encoding: 8bit

            Two boxes for Zürich.

            Thanks
            --b
            Content-Type: application/pdf
            Content-Disposition: attachment; filename="offer.pdf"

            x
            --b--

            """.ReplaceLineEndings("\r\n"));

        var text = Read("mail", file, FileTypes.Mail);

        Assert.Equal("""
            Café order

            From: "Ana" <ana@example.com>
            To: "Ben" <ben@example.com>
            Date: 2026-11-20T09:15:00+01:00
            Attachments: offer.pdf

            Two boxes for Zürich.

            Thanks
            """.ReplaceLineEndings("\n"), text.Text);
    }

    [Fact]
    public void Epub_GivesChaptersInTheOrderOfTheSpine()
    {
        var text = Read("book.epub", SampleFiles.Epub("<html><body><h1>One</h1><p>first</p></body></html>",
            "<html><body><h1>Two</h1><p>second</p></body></html>"), FileTypes.Epub);

        Assert.Equal("One\n\nfirst\n\nTwo\n\nsecond", text.Text);
    }

    [Fact]
    public void Office_Encrypted_SaysSo()
    {
        byte[] file = [0xD0, 0xCF, 0x11, 0xE0, .. new byte[600], .. Encoding.Unicode.GetBytes("EncryptedPackage")];

        AssertFails("a.xlsx", file, ParseErrors.Encrypted, "The workbook is encrypted");
    }

    [Fact]
    public void Zip_ThatUnpacksToTooMuch_IsRefusedBeforeItIsRead() => AssertFails("a.docx", SampleFiles.ZipOf(
        ("word/document.xml", new byte[64 << 20])), ParseErrors.TooLarge, "100 times");

    [Theory]
    [InlineData("a.pdf")]
    [InlineData("a.docx")]
    [InlineData("a.epub")]
    public void File_CutOff_IsDamaged(string name)
    {
        var whole = name switch
        {
            "a.pdf" => SampleFiles.Pdf([[(11, 700, "tea")]]),
            "a.docx" => SampleFiles.Docx(SampleFiles.WordParagraph("tea")),
            _ => SampleFiles.Epub("<p>tea"),
        };

        AssertFails(name, whole[..(name == "a.pdf" ? 40 : whole.Length / 2)], ParseErrors.Damaged, "damaged");
    }

    private static ExtractedText Read(string name, byte[] file, string type)
    {
        var (found, text) = TextFormat.ReadFile(file, name);
        Assert.Equal((type, null), (found, text));
        return FileReaders.Read(found, file, static _ => { });
    }

    private static void AssertFails(string name, byte[] file, string code, string mentioned)
    {
        var (type, _) = TextFormat.ReadFile(file, name);
        var error = Assert.Throws<ParseException>(() => FileReaders.Read(type, file, static _ => { }));
        Assert.Equal(code, error.Code);
        Assert.Contains(mentioned, error.Message, StringComparison.Ordinal);
    }
}
