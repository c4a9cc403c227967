using System.IO.Compression;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>A book: its chapters in the order of its spine.</summary>
internal static class EpubText
{
    private const int ChaptersMax = 5_000;
    private const int DepthMax = 64;

    private static readonly XmlReaderSettings Settings = new()
    {
        DtdProcessing = DtdProcessing.Prohibit,
        XmlResolver = null,
        MaxCharactersInDocument = 16 << 20,
    };

    internal static void Write(byte[] file, BlockWriter writer)
    {
        ZipParts.Check(file, "book");
        using var archive = new ZipArchive(new MemoryStream(file, writable: false), ZipArchiveMode.Read);
        if (archive.GetEntry("META-INF/rights.xml") is not null)
        {
            throw ParseException.Encrypted("book");
        }

        var container = Load(archive, "META-INF/container.xml");
        var path = container.Descendants().FirstOrDefault(static one => one.Name.LocalName == "rootfile")
            ?.Attribute("full-path")?.Value ?? throw ParseException.Damaged("the book names no package.");
        var package = Load(archive, path);
        var folder = path[..(path.LastIndexOf('/') + 1)];
        var hrefs = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var item in package.Descendants().Where(static one => one.Name.LocalName == "item"))
        {
            hrefs.TryAdd(item.Attribute("id")?.Value ?? "", item.Attribute("href")?.Value ?? "");
        }

        var spine = package.Descendants().Where(static one => one.Name.LocalName == "itemref").Take(ChaptersMax);
        foreach (var reference in spine)
        {
            if (hrefs.TryGetValue(reference.Attribute("idref")?.Value ?? "", out var href)
                && archive.GetEntry(Resolve(folder, href)) is { } chapter)
            {
                using var reader = new StreamReader(chapter.Open(), Encoding.UTF8);
                HtmlText.Write(reader.ReadToEnd(), writer);
            }
        }
    }

    // Names inside the archive alone; a path that leaves it names no part.
    private static string Resolve(string folder, string href)
    {
        var parts = new List<string>();
        foreach (var part in (folder + Uri.UnescapeDataString(href.Split('#')[0])).Split('/'))
        {
            if (part == ".." && parts.Count > 0)
            {
                parts.RemoveAt(parts.Count - 1);
            }
            else if (part is not ("." or ""))
            {
                parts.Add(part);
            }
        }

        return string.Join('/', parts);
    }

    private static XDocument Load(ZipArchive archive, string name)
    {
        var entry = archive.GetEntry(name) ?? throw ParseException.Damaged("a part is missing that another names.");
        using (var part = entry.Open())
        {
            // Before a tree is built: each level of it makes the next one dearer.
            using var levels = XmlReader.Create(part, Settings);
            while (levels.Read())
            {
                if (levels.Depth > DepthMax)
                {
                    throw ParseException.TooComplex($"The book's index is nested deeper than {DepthMax} levels.");
                }
            }
        }

        using var stream = entry.Open();
        using var reader = XmlReader.Create(stream, Settings);
        return XDocument.Load(reader);
    }
}
