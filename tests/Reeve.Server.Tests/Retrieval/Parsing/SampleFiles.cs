using System.Globalization;
using System.IO.Compression;
using System.Text;

namespace Reeve.Server.Tests.Retrieval.Parsing;

/// <summary>Small files of each format, written by hand: no library that the server reads with made them.</summary>
internal static class SampleFiles
{
    private const string Office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    private const string Package = "http://schemas.openxmlformats.org/package/2006";
    private const string Word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
    private const string Sheet = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    private const string Slide = "http://schemas.openxmlformats.org/presentationml/2006/main";
    private const string Drawing = "http://schemas.openxmlformats.org/drawingml/2006/main";
    private const string Types = "application/vnd.openxmlformats-officedocument.";

    /// <summary>A page is its lines; each has a size, a place from the bottom and its text.</summary>
    internal static byte[] Pdf(params (int Size, int Y, string Text)[][] pages)
    {
        var objects = new List<string>
        {
            "<< /Type /Catalog /Pages 2 0 R >>",
            $"<< /Type /Pages /Count {pages.Length} /Kids [{string.Join(' ',
                Enumerable.Range(0, pages.Length).Select(static i => $"{4 + (i * 2)} 0 R"))}] >>",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        };
        foreach (var page in pages)
        {
            var content = string.Concat(page.Select(static line =>
                $"BT /F1 {line.Size} Tf 72 {line.Y} Td ({line.Text}) Tj ET\n"));
            objects.Add("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
                + $"/Resources << /Font << /F1 3 0 R >> >> /Contents {objects.Count + 2} 0 R >>");
            objects.Add($"<< /Length {content.Length} >>\nstream\n{content}endstream");
        }

        return PdfOf(objects);
    }

    /// <summary>Objects 1 and on, the first of which is the catalogue.</summary>
    internal static byte[] PdfOf(IReadOnlyList<string> objects, string trailer = "")
    {
        var file = new StringBuilder("%PDF-1.7\n");
        var places = new List<int>();
        for (var i = 0; i < objects.Count; i++)
        {
            places.Add(file.Length);
            file.Append(CultureInfo.InvariantCulture, $"{i + 1} 0 obj\n{objects[i]}\nendobj\n");
        }

        var start = file.Length;
        file.Append(CultureInfo.InvariantCulture, $"xref\n0 {objects.Count + 1}\n0000000000 65535 f \n");
        places.ForEach(place => file.Append(CultureInfo.InvariantCulture, $"{place:0000000000} 00000 n \n"));
        file.Append(CultureInfo.InvariantCulture,
            $"trailer\n<< /Size {objects.Count + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n");
        return Encoding.Latin1.GetBytes(file.ToString());
    }

    internal static byte[] Zip(params (string Name, string Text)[] parts) =>
        ZipOf([.. parts.Select(static part => (part.Name, Encoding.UTF8.GetBytes(part.Text)))]);

    internal static byte[] ZipOf(params (string Name, byte[] Bytes)[] parts)
    {
        using var file = new MemoryStream();
        using (var archive = new ZipArchive(file, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, bytes) in parts)
            {
                using var part = archive.CreateEntry(name).Open();
                part.Write(bytes);
            }
        }

        return file.ToArray();
    }

    /// <summary>A document of Word around the XML of its body.</summary>
    internal static byte[] Docx(string body) => Zip(
        ContentTypes(("/word/document.xml", Types + "wordprocessingml.document.main+xml"),
            ("/word/styles.xml", Types + "wordprocessingml.styles+xml")),
        Root("word/document.xml"),
        ("word/document.xml", $"""<w:document xmlns:w="{Word}"><w:body>{body}</w:body></w:document>"""),
        Relations("word/_rels/document.xml.rels", ("rId1", "styles", "styles.xml")),
        ("word/styles.xml", $"""
            <w:styles xmlns:w="{Word}"><w:style w:type="paragraph" w:styleId="Kop2"><w:name w:val="heading 2"/>
            </w:style></w:styles>
            """));

    internal static string WordParagraph(string text, string properties = "") =>
        $"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r></w:p>";

    /// <summary>A workbook of one sheet around the XML of its rows.</summary>
    internal static byte[] Xlsx(string sheet, string rows) => Zip(
        ContentTypes(("/xl/workbook.xml", Types + "spreadsheetml.sheet.main+xml"),
            ("/xl/worksheets/sheet1.xml", Types + "spreadsheetml.worksheet+xml"),
            ("/xl/sharedStrings.xml", Types + "spreadsheetml.sharedStrings+xml"),
            ("/xl/styles.xml", Types + "spreadsheetml.styles+xml")),
        Root("xl/workbook.xml"),
        ("xl/workbook.xml", $"""
            <workbook xmlns="{Sheet}" xmlns:r="{Office}"><sheets><sheet name="{sheet}" sheetId="1" r:id="rId1"/>
            </sheets></workbook>
            """),
        Relations("xl/_rels/workbook.xml.rels", ("rId1", "worksheet", "worksheets/sheet1.xml"),
            ("rId2", "sharedStrings", "sharedStrings.xml"), ("rId3", "styles", "styles.xml")),
        ("xl/worksheets/sheet1.xml", $"""<worksheet xmlns="{Sheet}"><sheetData>{rows}</sheetData></worksheet>"""),
        ("xl/sharedStrings.xml", $"""
            <sst xmlns="{Sheet}"><si><t>Tea</t></si><si><r><t>Oolong </t></r><r><t>spring</t></r></si></sst>
            """),
        ("xl/styles.xml", $"""
            <styleSheet xmlns="{Sheet}"><numFmts count="1"><numFmt numFmtId="164" formatCode="dd/mm/yyyy\ hh:mm"/>
            </numFmts><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs>
            </styleSheet>
            """));

    /// <summary>A presentation of slides, each with a title and a text.</summary>
    internal static byte[] Pptx(params (string Title, string Text)[] slides)
    {
        var parts = new List<(string, string)>
        {
            ContentTypes([("/ppt/presentation.xml", Types + "presentationml.presentation.main+xml"),
                .. slides.Select(static (_, i) =>
                    ($"/ppt/slides/slide{i + 1}.xml", Types + "presentationml.slide+xml"))]),
            Root("ppt/presentation.xml"),
            ("ppt/presentation.xml", $"""
                <p:presentation xmlns:p="{Slide}" xmlns:r="{Office}"><p:sldIdLst>{string.Concat(slides.Select(
                    static (_, i) => $"<p:sldId id=\"{256 + i}\" r:id=\"rId{i + 1}\"/>"))}</p:sldIdLst>
                </p:presentation>
                """),
            Relations("ppt/_rels/presentation.xml.rels", [.. slides.Select(static (_, i) =>
                ($"rId{i + 1}", "slide", $"slides/slide{i + 1}.xml"))]),
        };
        parts.AddRange(slides.Select(static (slide, i) => ($"ppt/slides/slide{i + 1}.xml", $"""
            <p:sld xmlns:p="{Slide}" xmlns:a="{Drawing}"><p:cSld><p:spTree>{Shape("title", slide.Title)}
            {Shape("body", slide.Text)}{Shape("sldNum", "17")}</p:spTree></p:cSld></p:sld>
            """)));
        return Zip([.. parts]);
    }

    /// <summary>A book of chapters; the spine turns their order in the archive round.</summary>
    internal static byte[] Epub(params string[] chapters) => Zip([
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", """
            <container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
            <rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>
            """),
        .. chapters.Select(static (chapter, i) => ($"OPS/text/c {i}.xhtml", chapter)).Reverse(),
        ("OPS/book.opf", $"""
            <package xmlns="http://www.idpf.org/2007/opf"><manifest>{string.Concat(chapters.Select(static (_, i) =>
                $"<item id=\"c{i}\" href=\"text/c%20{i}.xhtml\"/>"))}</manifest><spine>{string.Concat(chapters.Select(
                    static (_, i) => $"<itemref idref=\"c{i}\"/>"))}</spine></package>
            """)]);

    private static string Shape(string kind, string text) => $"""
        <p:sp><p:nvSpPr><p:cNvPr id="2" name="x"/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:spPr/>
        <p:txBody><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>
        """;

    private static (string, string) ContentTypes(params (string Part, string Type)[] parts) => ("[Content_Types].xml",
        $"""
        <Types xmlns="{Package}/content-types"><Default Extension="xml" ContentType="application/xml"/>
        <Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
        {string.Concat(parts.Select(static part =>
            $"<Override PartName=\"{part.Part}\" ContentType=\"{part.Type}\"/>"))}</Types>
        """);

    private static (string, string) Root(string part) => Relations("_rels/.rels", ("rId1", "officeDocument", part));

    private static (string, string) Relations(string name, params (string Id, string Kind, string Target)[] all) =>
    (
        name,
        $"""
        <Relationships xmlns="{Package}/relationships">{string.Concat(all.Select(static one =>
            $"<Relationship Id=\"{one.Id}\" Type=\"{Office}/{one.Kind}\" Target=\"{one.Target}\"/>"))}</Relationships>
        """);
}
