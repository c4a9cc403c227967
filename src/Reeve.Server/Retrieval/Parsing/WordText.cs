using DocumentFormat.OpenXml;
using DocumentFormat.OpenXml.Packaging;
using DocumentFormat.OpenXml.Wordprocessing;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>
/// A document of Word: its body and its notes; headers, footers, comments and what was deleted are left out.
/// </summary>
internal static class WordText
{
    internal static void Write(byte[] file, BlockWriter writer)
    {
        ZipParts.Check(file, "document");
        using var document = WordprocessingDocument.Open(new MemoryStream(file, writable: false), isEditable: false);
        var part = document.MainDocumentPart ?? throw ParseException.Damaged("it has no main part.");
        var levels = HeadingLevels(part.StyleDefinitionsPart?.Styles);
        var body = part.Document?.Body ?? throw ParseException.Damaged("it has no body.");
        WriteBlocks(body, levels, writer);
        foreach (var note in part.FootnotesPart?.Footnotes?.Elements<Footnote>() ?? [])
        {
            WriteBlocks(note, levels, writer);
        }

        foreach (var note in part.EndnotesPart?.Endnotes?.Elements<Endnote>() ?? [])
        {
            WriteBlocks(note, levels, writer);
        }
    }

    /// <summary>By the id of a style, since names of styles are translated and ids may be.</summary>
    private static Dictionary<string, int> HeadingLevels(Styles? styles)
    {
        var levels = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var style in styles?.Elements<Style>() ?? [])
        {
            var name = style.StyleName?.Val?.Value?.ToUpperInvariant() ?? "";
            var level = style.StyleParagraphProperties?.OutlineLevel?.Val?.Value is { } outline ? outline + 1
                : name == "TITLE" ? 1
                : name is ['H', 'E', 'A', 'D', 'I', 'N', 'G', ' ', >= '1' and <= '9'] ? name[^1] - '0' : 0;
            if (level is > 0 and <= 9 && style.StyleId?.Value is { } id)
            {
                levels[id] = Math.Min(level, 6);
            }
        }

        return levels;
    }

    private static void WriteBlocks(OpenXmlElement container, Dictionary<string, int> levels, BlockWriter writer)
    {
        foreach (var element in container.ChildElements)
        {
            switch (element)
            {
                case Paragraph paragraph:
                    WriteParagraph(paragraph, levels, writer);
                    break;
                case Table table:
                    WriteTable(table, writer);
                    break;
                case SdtBlock or SdtContentBlock or CustomXmlBlock:
                    WriteBlocks(element, levels, writer);
                    break;
                default:
                    break;
            }
        }
    }

    private static void WriteParagraph(Paragraph paragraph, Dictionary<string, int> levels, BlockWriter writer)
    {
        var style = paragraph.ParagraphProperties;
        var level = style?.OutlineLevel?.Val?.Value is { } outline and < 9 ? outline + 1
            : style?.ParagraphStyleId?.Val?.Value is { } id ? levels.GetValueOrDefault(id) : 0;
        if (level > 0)
        {
            AppendText(paragraph, writer);
            writer.Close(BlockKind.Heading, Math.Min(level, 6));
            return;
        }

        var isItem = style?.NumberingProperties is not null;
        writer.Append(isItem ? "- " : "");
        AppendText(paragraph, writer);
        writer.Close(isItem ? BlockKind.ListItem : BlockKind.Paragraph);
    }

    private static void WriteTable(Table table, BlockWriter writer)
    {
        var rows = new RowWriter(writer);
        foreach (var row in table.Elements<TableRow>())
        {
            rows.Add([.. row.Elements<TableCell>().Select(static cell =>
            {
                var text = new BlockWriter(FileReaders.CharactersMax);
                foreach (var paragraph in cell.Descendants<Paragraph>())
                {
                    AppendText(paragraph, text);
                    text.Append(" ");
                }

                text.Close(BlockKind.TableRow);
                return text.ToText().Text;
            })]);
        }

        rows.End();
    }

    private static void AppendText(Paragraph paragraph, BlockWriter writer)
    {
        foreach (var run in paragraph.Descendants())
        {
            // The old form of a drawing repeats the words of its new one; a paragraph in a drawing comes by itself.
            if (run is not (Text or TabChar or Break or CarriageReturn or NoBreakHyphen)
                || run.Ancestors<AlternateContentFallback>().Any())
            {
                continue;
            }

            writer.Append(run switch
            {
                Text text => text.Text,
                NoBreakHyphen => "-",
                Break or CarriageReturn => "\n",
                _ => " ",
            });
        }
    }
}
