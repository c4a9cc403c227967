using System.Globalization;
using System.Text.RegularExpressions;
using UglyToad.PdfPig;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>
/// A PDF: its letters become lines (<see cref="PdfLines"/>), its lines paragraphs and headings, without what stands at
/// the top or bottom of most pages.
/// </summary>
internal static partial class PdfText
{
    private const int PagesMax = 10_000;
    private const int HeadingCharactersMax = 200;

    /// <summary>The part of a page, at its top and its bottom, that running lines stand in.</summary>
    private const double EdgeShare = 0.1;

    /// <summary>Of fewer pages nobody can say what repeats.</summary>
    private const int PagesWithEdgesMin = 3;

    internal static void Write(byte[] file, BlockWriter writer, Action<ParseProgress> report)
    {
        using var document = PdfDocument.Open(file, new ParsingOptions
        {
            UseLenientParsing = true,
            SkipMissingFonts = true,
            MaxStackDepth = 128,
        });
        if (document.NumberOfPages > PagesMax)
        {
            throw new ParseException(ParseErrors.TooLarge, string.Create(CultureInfo.InvariantCulture,
                $"The PDF has {document.NumberOfPages:N0} pages; at most {PagesMax:N0} are read. Split it."));
        }

        var pages = new List<(List<PdfLine> Lines, double Height)>();
        var characters = 0;
        for (var number = 1; number <= document.NumberOfPages; number++)
        {
            report(new ParseProgress(number - 1, document.NumberOfPages, "pages"));
            var page = document.GetPage(number);
            var lines = PdfLines.Of(page.Letters);
            characters += lines.Sum(static line => line.Text.Length);
            if (characters > FileReaders.CharactersMax)
            {
                throw ParseException.TooMuchText(FileReaders.CharactersMax);
            }

            pages.Add((lines, page.Height));
        }

        DropEdges(pages);
        var sizes = HeadingSizes(pages);
        for (var i = 0; i < pages.Count; i++)
        {
            writer.Page = i + 1;
            WritePage(pages[i].Lines, sizes, writer);
        }

        report(new ParseProgress(pages.Count, pages.Count, "pages"));
    }

    /// <summary>Drops running headers and footers: lines at an edge that most pages have, numbers aside.</summary>
    private static void DropEdges(List<(List<PdfLine> Lines, double Height)> pages)
    {
        if (pages.Count < PagesWithEdgesMin)
        {
            return;
        }

        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var key in pages.SelectMany(static page => Edges(page).Select(Key).Distinct()))
        {
            counts[key] = counts.GetValueOrDefault(key) + 1;
        }

        foreach (var page in pages)
        {
            var repeated = Edges(page).Where(line => counts[Key(line)] * 2 > pages.Count).ToHashSet();
            page.Lines.RemoveAll(repeated.Contains);
        }
    }

    private static IEnumerable<PdfLine> Edges((List<PdfLine> Lines, double Height) page) => page.Lines.Where(
        line => line.Y < page.Height * EdgeShare || line.Y > page.Height * (1 - EdgeShare));

    private static string Key(PdfLine line) => string.Create(
        CultureInfo.InvariantCulture, $"{Math.Round(line.Y / 4)}:{Digits().Replace(line.Text, "#")}");

    /// <summary>
    /// The sizes above that of the body, largest first: the place of a size is the level of its heading.
    /// </summary>
    private static List<double> HeadingSizes(List<(List<PdfLine> Lines, double Height)> pages)
    {
        var bySize = pages.SelectMany(static page => page.Lines).GroupBy(static line => line.Size)
            .Select(static group => (Size: group.Key, Count: group.Sum(static line => line.Text.Length))).ToList();
        if (bySize.Count == 0)
        {
            return [];
        }

        var body = bySize.MaxBy(static one => one.Count).Size;
        return [.. bySize.Where(one => one.Size >= body * 1.15).Select(static one => one.Size)
            .OrderDescending().Take(6)];
    }

    private static void WritePage(List<PdfLine> lines, List<double> sizes, BlockWriter writer)
    {
        var open = new List<PdfLine>();
        foreach (var line in lines)
        {
            if (open.Count > 0 && !Continues(open[^1], line))
            {
                Flush(open, sizes, writer);
            }

            open.Add(line);
        }

        Flush(open, sizes, writer);
    }

    private static bool Continues(PdfLine above, PdfLine line)
    {
        var step = above.Y - line.Y;
        return Math.Abs(above.Size - line.Size) < 0.1 && step > 0 && step < Math.Max(line.Size * 1.7, 4)
            && !StartsItem(line.Text);
    }

    private static bool StartsItem(string text) =>
        text.Length > 2 && text[1] == ' ' && "•‣◦▪–-*·".Contains(text[0], StringComparison.Ordinal);

    private static void Flush(List<PdfLine> lines, List<double> sizes, BlockWriter writer)
    {
        if (lines.Count == 0)
        {
            return;
        }

        for (var i = 0; i < lines.Count; i++)
        {
            var text = lines[i].Text;
            var joins = i + 1 < lines.Count && EndsInHyphen(text) && char.IsLower(lines[i + 1].Text[0]);
            writer.Append(joins ? text.AsSpan(0, text.Length - 1) : text);
            writer.Append(joins || i + 1 == lines.Count ? "" : " ");
        }

        var level = sizes.IndexOf(lines[0].Size) + 1;
        if (level > 0 && lines.Sum(static line => line.Text.Length) <= HeadingCharactersMax)
        {
            writer.Close(BlockKind.Heading, level);
        }
        else
        {
            writer.Close(StartsItem(lines[0].Text) ? BlockKind.ListItem : BlockKind.Paragraph);
        }

        lines.Clear();
    }

    private static bool EndsInHyphen(string text) =>
        text.Length > 1 && text[^1] is '-' or '\u00AD' or '\u2010' && char.IsLetter(text[^2]);

    [GeneratedRegex(@"\d+")]
    private static partial Regex Digits();
}
