using DocumentFormat.OpenXml;
using DocumentFormat.OpenXml.Packaging;
using DocumentFormat.OpenXml.Presentation;
using A = DocumentFormat.OpenXml.Drawing;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>A presentation: a slide is a page, its title a heading; the speaker's notes follow it.</summary>
internal static class SlideText
{
    internal static void Write(byte[] file, BlockWriter writer, Action<ParseProgress> report)
    {
        ZipParts.Check(file, "presentation");
        using var document = PresentationDocument.Open(new MemoryStream(file, writable: false), isEditable: false);
        var part = document.PresentationPart ?? throw ParseException.Damaged("it has no main part.");
        var slides = part.Presentation?.SlideIdList?.Elements<SlideId>().ToList() ?? [];
        for (var i = 0; i < slides.Count; i++)
        {
            report(new ParseProgress(i, slides.Count, "pages"));
            writer.Page = i + 1;
            if (slides[i].RelationshipId?.Value is { } id && part.TryGetPartById(id, out var found)
                && found is SlidePart { Slide.CommonSlideData.ShapeTree: { } tree } slide)
            {
                WriteShapes(tree, writer);
                if (slide.NotesSlidePart?.NotesSlide?.CommonSlideData?.ShapeTree is { } notes)
                {
                    WriteShapes(notes, writer);
                }
            }
        }

        report(new ParseProgress(slides.Count, slides.Count, "pages"));
    }

    private static void WriteShapes(OpenXmlElement tree, BlockWriter writer)
    {
        foreach (var element in tree.Descendants())
        {
            switch (element)
            {
                case Shape shape:
                    WriteShape(shape, writer);
                    break;
                case A.Table table:
                    var rows = new RowWriter(writer);
                    foreach (var row in table.Elements<A.TableRow>())
                    {
                        rows.Add([.. row.Elements<A.TableCell>().Select(static cell =>
                            string.Join(' ', cell.Descendants<A.Text>().Select(static text => text.Text)))]);
                    }

                    rows.End();
                    break;
                default:
                    break;
            }
        }
    }

    private static void WriteShape(Shape shape, BlockWriter writer)
    {
        var drawing = shape.NonVisualShapeProperties?.ApplicationNonVisualDrawingProperties;
        var place = drawing?.PlaceholderShape?.Type?.Value;
        if (place is { } kind && (kind == PlaceholderValues.SlideNumber || kind == PlaceholderValues.Footer
            || kind == PlaceholderValues.Header || kind == PlaceholderValues.DateAndTime))
        {
            return;
        }

        var isTitle = place is { } title
            && (title == PlaceholderValues.Title || title == PlaceholderValues.CenteredTitle);
        foreach (var paragraph in shape.TextBody?.Elements<A.Paragraph>() ?? [])
        {
            foreach (var run in paragraph.Descendants())
            {
                writer.Append(run is A.Text text ? text.Text : run is A.Break ? " " : "");
            }

            if (!isTitle)
            {
                writer.Close(BlockKind.Paragraph);
            }
            else
            {
                writer.Append(" ");
            }
        }

        writer.Close(BlockKind.Heading, 1);
    }
}
