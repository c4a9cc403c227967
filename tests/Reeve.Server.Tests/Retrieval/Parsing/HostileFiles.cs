using System.IO.Compression;
using System.Text;

namespace Reeve.Server.Tests.Retrieval.Parsing;

/// <summary>Files that are broken, or made to break what reads them.</summary>
internal static class HostileFiles
{
    private const string PdfPage = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R >>";

    /// <summary>Each with a name, and what its reason must speak of; null: it may be read.</summary>
    internal static IEnumerable<(string Name, byte[] File, string? Reason)> All() =>
        [.. Pdfs(), .. Zips(), .. Offices(), .. Books(), .. Mails(), .. Tables()];

    private static IEnumerable<(string, byte[], string?)> Pdfs()
    {
        var whole = SampleFiles.Pdf([(11, 700, "tea")]);
        yield return ("head-only.pdf", "%PDF-1.7\n"u8.ToArray(), "damaged");
        yield return ("head-and-zeros.pdf", [.. "%PDF-1.7\n"u8, .. new byte[100_000]], "damaged");
        yield return ("cut-at-half.pdf", whole[..(whole.Length / 3)], "damaged");
        yield return ("no-pages.pdf", SampleFiles.PdfOf(["<< /Type /Catalog >>"]), "damaged");
        yield return ("page-of-itself.pdf", Pdf("<< /Type /Pages /Count 1 /Kids [2 0 R] >>", ""), "");
        yield return ("count-of-billions.pdf", Pdf("<< /Type /Pages /Count 2147483647 /Kids [3 0 R] >>", ""), "");
        yield return ("no-text.pdf", Pdf("<< /Type /Pages /Count 1 /Kids [3 0 R] >>", "0 0 m 9 9 l S"), "OCR");
        yield return ("deep-arrays.pdf", SampleFiles.PdfOf(
            ["<< /Type /Catalog /Pages 2 0 R /X " + Nest("[", "]", 200_000) + " >>"]), "");
        yield return ("deep-dictionaries.pdf", SampleFiles.PdfOf(
            ["<< /Type /Catalog /Pages 2 0 R /X " + Nest("<</A ", ">>", 200_000) + " >>"]), "");
        yield return ("unclosed-arrays.pdf", [.. "%PDF-1.7\n1 0 obj\n"u8, .. Fill('[', 500_000)], "");
        yield return ("deep-content.pdf", Pages(Nest("[", "]", 100_000) + " TJ"), null);
        yield return ("open-states.pdf", Pages(string.Concat(Enumerable.Repeat("q ", 300_000))), "OCR");
        yield return ("references-in-a-ring.pdf", SampleFiles.PdfOf(
            ["<< /Type /Catalog /Pages 2 0 R >>", "3 0 R", "2 0 R"]), "");
        yield return ("length-in-a-ring.pdf", SampleFiles.PdfOf(["<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Count 1 /Kids [3 0 R] >>", PdfPage, "<< /Length 4 0 R >>\nstream\nx\nendstream"]), "");
        yield return ("form-in-itself.pdf", SampleFiles.PdfOf(["<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R "
                + "/Resources << /XObject << /F 5 0 R >> >> >>",
            "<< /Length 5 >>\nstream\n/F Do\nendstream",
            "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F 5 0 R >> >> /Length 11 >>\n"
                + "stream\n/F Do /F Do\nendstream"]), "");
        yield return ("deflated-bomb.pdf", DeflatedPdf(96 << 20), "");
        yield return ("huge-length.pdf", SampleFiles.PdfOf(["<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Count 1 /Kids [3 0 R] >>", PdfPage,
            "<< /Length 99999999999999 >>\nstream\nx\nendstream"]), "");
        yield return ("thousands-of-pages.pdf", SampleFiles.Pdf([.. Enumerable.Range(0, 10_000)
            .Select(static i => ((int, int, string)[])[(11, 700, $"page {i}")])]), null);
        yield return ("too-many-pages.pdf", SampleFiles.Pdf([.. Enumerable.Range(0, 10_001)
            .Select(static _ => ((int, int, string)[])[])]), "10,001 pages");
        yield return ("previous-table-is-itself.pdf", SampleFiles.PdfOf(["<< /Type /Catalog /Pages 2 0 R >>"],
            "/Prev 9"), "");
        yield return ("encrypted.pdf", SampleFiles.PdfOf(
            ["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Count 0 /Kids [] >>",
            $"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 "
                + $"/O <{new string('1', 64)}> /U <{new string('2', 64)}> >>"],
            "/Encrypt 3 0 R /ID [<00><00>]"), "encrypted");
        yield return ("pdf-and-zip.pdf", [.. whole, .. SampleFiles.Zip(("a", "b"))], null);
        yield return ("page-and-pdf.html", [.. "<html><body>x</body></html>\n"u8, .. whole], null);
    }

    private static IEnumerable<(string, byte[], string?)> Zips()
    {
        yield return ("plain.zip", SampleFiles.Zip(("a.txt", "b")), "ZIP");
        yield return ("nested.zip",
            SampleFiles.ZipOf(("a.zip", SampleFiles.ZipOf(("b.zip", new byte[1 << 20])))), "ZIP");
        yield return ("empty.docx", [0x50, 0x4B, 5, 6, .. new byte[18]], "ZIP");
        yield return ("mark-only.docx", [0x50, 0x4B, 3, 4], "ZIP");
        yield return ("bomb.docx", SampleFiles.ZipOf(("word/document.xml", new byte[200 << 20])), "100 times");
        yield return ("bomb.xlsx", SampleFiles.ZipOf(("xl/workbook.xml", Fill(' ', 100 << 20))), "100 times");
        yield return ("bomb.pptx", SampleFiles.ZipOf(("ppt/presentation.xml", new byte[100 << 20])), "100 times");
        yield return ("bomb.epub", SampleFiles.ZipOf(("META-INF/container.xml", new byte[100 << 20])), "100 times");
        yield return ("bomb-beside.docx", SampleFiles.ZipOf(("word/document.xml", "<a/>"u8.ToArray()),
            ("word/media/a.png", new byte[100 << 20])), "100 times");
        yield return ("declares-little.docx",
            Lie(SampleFiles.ZipOf(("word/document.xml", new byte[100 << 20])), 10), "");
        yield return ("declares-much.docx", Lie(
            SampleFiles.Docx(SampleFiles.WordParagraph("tea")), 0xFFFFFFF0), "");
        yield return ("many-parts.docx", SampleFiles.ZipOf([("word/document.xml", "<a/>"u8.ToArray()),
            .. Enumerable.Range(0, 10_001).Select(static i => ($"p/{i}", Array.Empty<byte>()))]), "parts");
        yield return ("leaves-its-folder.docx",
            SampleFiles.Zip(("../../etc/x", "x"), ("word/document.xml", "<a/>")), "");
        var whole = SampleFiles.Docx(SampleFiles.WordParagraph("tea"));
        yield return ("cut-at-half.docx", whole[..(whole.Length / 2)], "damaged");
        yield return ("cut-at-end.docx", whole[..^30], "");
        yield return ("scrambled.docx", Scramble(whole), "");
    }

    private static IEnumerable<(string, byte[], string?)> Offices()
    {
        byte[] ole = [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1, .. new byte[2_000]];
        byte[] locked = [.. ole, .. Encoding.Unicode.GetBytes("EncryptedPackage")];
        yield return ("old.doc", ole, "old Office");
        yield return ("locked.docx", [.. locked, 1], "document is encrypted");
        yield return ("locked.xlsx", [.. locked, 2], "workbook is encrypted");
        yield return ("locked.pptx", [.. locked, 3], "presentation is encrypted");
        yield return ("empty-part.docx", SampleFiles.Zip(("word/document.xml", "")), "damaged");
        yield return ("no-body.docx", SampleFiles.Zip(("word/document.xml", "<a/>")), "damaged");
        yield return ("no-text.docx", SampleFiles.Docx(""), "no text");
        yield return ("deep-tables.docx", SampleFiles.Docx(
            Nest("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>", 20_000)), "");
        yield return ("deep-blocks.docx", SampleFiles.Docx(
            Nest("<w:sdt><w:sdtContent>", "</w:sdtContent></w:sdt>", 50_000)), "");
        yield return ("deep-unknown.docx", SampleFiles.Docx(Nest("<w:x>", "</w:x>", 200_000)), "");
        yield return ("entities.docx",
            SampleFiles.Zip(("[Content_Types].xml", Laughs), ("word/document.xml", Laughs)), "");
        yield return ("entities.xlsx",
            SampleFiles.Zip(("[Content_Types].xml", Laughs), ("xl/workbook.xml", Laughs)), "");
        yield return ("other-file.docx", SampleFiles.Docx(
            "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><w:p><w:r><w:t>&x;</w:t></w:r></w:p>"), "damaged");
        yield return ("far-cell.xlsx", SampleFiles.Xlsx("S",
            "<row r=\"1\"><c r=\"XFD1\"><v>1</v></c><c r=\"ZZZ1\"><v>2</v></c></row>"), null);
        yield return ("strings-beyond.xlsx", SampleFiles.Xlsx("S",
            "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>99999999</v></c><c r=\"B1\"><v>1e400</v></c></row>"), null);
        yield return ("date-beyond.xlsx", SampleFiles.Xlsx("S",
            "<row r=\"1\"><c r=\"A1\" s=\"1\"><v>2958466000</v></c><c r=\"B1\" s=\"77\"><v>-5</v></c></row>"), null);
        yield return ("slides-that-are-none.pptx", SampleFiles.Zip(("ppt/presentation.xml", "<p/>")), "damaged");
    }

    private static IEnumerable<(string, byte[], string?)> Books()
    {
        yield return ("entities.epub", SampleFiles.Zip(("META-INF/container.xml", Laughs)), "damaged");
        yield return ("no-package.epub", SampleFiles.Zip(("META-INF/container.xml", "<container/>")), "damaged");
        yield return ("protected.epub", SampleFiles.Zip(
            ("META-INF/container.xml", "<container/>"), ("META-INF/rights.xml", "<a/>")), "encrypted");
        yield return ("deep-page.epub", SampleFiles.Epub(Nest("<div>", "</div>", 100_000)), "too complex");
        yield return ("deep-package.epub", SampleFiles.Zip(
            ("META-INF/container.xml", Nest("<a>", "</a>", 300_000))), "64 levels");
        yield return ("leaves-itself.epub", SampleFiles.Zip(("META-INF/container.xml",
            "<c><rootfile full-path=\"../../../etc/passwd\"/></c>")), "missing");
    }

    private static IEnumerable<(string, byte[], string?)> Mails()
    {
        yield return ("headers-only.eml", "From: a@b.c\r\n\r\n"u8.ToArray(), null);
        yield return ("deep-parts.eml", Mail(string.Concat(Enumerable.Range(0, 5_000).Select(static i =>
            $"Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n"))), null);
        yield return ("mails-in-mails.eml", Mail(string.Concat(Enumerable.Repeat(
            "Content-Type: message/rfc822\r\n\r\nFrom: a@b.c\r\n", 20_000))), null);
        yield return ("many-headers.eml",
            Mail(string.Concat(Enumerable.Repeat("X-A: b\r\n", 200_000)) + "\r\nx"), null);
        yield return ("deep-groups.eml", [.. "From: a@b.c\r\nTo: "u8, .. Fill('(', 200_000), .. "\r\n\r\nx"u8], null);
        yield return ("broken-base64.eml", Mail(
            "Content-Transfer-Encoding: base64\r\nContent-Type: text/html; charset=none\r\n\r\n====<<<"), null);
    }

    private static IEnumerable<(string, byte[], string?)> Tables()
    {
        yield return ("deep.json", [.. Fill('[', 100_000), .. Fill(']', 100_000)], "256 levels");
        yield return ("deep-names.json", Encoding.UTF8.GetBytes(Nest("{\"a\":", "}", 10_000, "1")), "256 levels");
        yield return ("long-names.json", Encoding.UTF8.GetBytes(
            Nest($"{{\"{new string('a', 500)}\":", "}", 200, "1")), "longer than");
        yield return ("repeated-path.json", Encoding.UTF8.GetBytes(
            $"{{\"{new string('a', 1_900)}\":[{string.Join(',', Enumerable.Repeat("1", 100_000))}]}}"),
            "characters of text");
        yield return ("empty.json", "{}"u8.ToArray(), "no text");
        yield return ("open-quote.csv", [.. "a,b\n\""u8, .. Fill('x', 500_000)], "quotation mark");
        yield return ("wide.csv", Fill(',', 200_000), "columns");
        yield return ("long-names.csv", [.. Fill('n', 200), .. ",m\n"u8,
            .. Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("1,2\n", 100_000)))], "characters of text");
        yield return ("program.csv", [0x7F, 0x45, 0x4C, 0x46, .. new byte[100]], "program");
        yield return ("picture.pdf", [0x89, 0x50, 0x4E, 0x47, .. new byte[100]], "PNG");
        yield return ("zeros.txt", new byte[100_000], "binary");
    }

    private static string Laughs { get; } = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"haha\">"
        + string.Concat(Enumerable.Range(1, 25).Select(static i => $"<!ENTITY {(char)('a' + i)} \"{string.Concat(
            Enumerable.Repeat($"&{(char)('a' + i - 1)};", 10))}\">")) + "]><l>&z;</l>";

    private static byte[] Pdf(string pages, string content) => SampleFiles.PdfOf(["<< /Type /Catalog /Pages 2 0 R >>",
        pages, PdfPage, $"<< /Length {content.Length} >>\nstream\n{content}\nendstream"]);

    private static byte[] Pages(string content) => Pdf("<< /Type /Pages /Count 1 /Kids [3 0 R] >>", content);

    private static byte[] DeflatedPdf(int bytes)
    {
        using var packed = new MemoryStream();
        using (var stream = new ZLibStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            stream.Write(Fill(' ', bytes));
        }

        return SampleFiles.PdfOf(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            PdfPage, $"<< /Filter /FlateDecode /Length {packed.Length} >>\nstream\n"
                + Encoding.Latin1.GetString(packed.ToArray()) + "\nendstream"]);
    }

    private static byte[] Mail(string rest) =>
        Encoding.ASCII.GetBytes("From: a@b.c\r\nTo: d@e.f\r\nSubject: g\r\nMIME-Version: 1.0\r\n" + rest);

    private static string Nest(string open, string close, int depth, string inner = "") => new StringBuilder()
        .Insert(0, open, depth).Append(inner).Append(new StringBuilder().Insert(0, close, depth)).ToString();

    private static byte[] Fill(char character, int count)
    {
        var bytes = new byte[count];
        Array.Fill(bytes, (byte)character);
        return bytes;
    }

    /// <summary>Writes another unpacked size into every entry of the directory.</summary>
    private static byte[] Lie(byte[] zip, uint size)
    {
        for (var at = 0; at + 46 < zip.Length; at++)
        {
            if (zip.AsSpan(at).StartsWith("PK\u0001\u0002"u8))
            {
                BitConverter.TryWriteBytes(zip.AsSpan(at + 24), size);
            }
        }

        return zip;
    }

    private static byte[] Scramble(byte[] zip)
    {
        for (var at = 60; at < zip.Length / 2; at += 7)
        {
            zip[at] ^= 0x55;
        }

        return zip;
    }
}
