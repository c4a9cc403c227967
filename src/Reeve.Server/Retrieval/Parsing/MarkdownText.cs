using System.Globalization;
using Markdig;
using Markdig.Extensions.Tables;
using Markdig.Extensions.TaskLists;
using Markdig.Extensions.Yaml;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>Markdown without its marks: headings, paragraphs, items, rows and code stay apart.</summary>
internal static class MarkdownText
{
    internal static ExtractedText Extract(string source)
    {
        var cost = MarkdownCost.Of(source);
        if (cost.IsTooHigh)
        {
            return PlainText.Extract(source);
        }

        MarkdownDocument document;
        try
        {
            // The pipeline is made anew for the sake of its deadline.
            document = Markdown.Parse(source, new MarkdownPipelineBuilder()
                .UsePipeTables(new PipeTableOptions { UseGfmRules = cost.HasLargeTable }).UseTaskLists()
                .UseEmphasisExtras().UseYamlFrontMatter().Use(new ParseDeadline()).Build());
        }
        catch (Exception error) when (error is ArgumentException or ParseDeadlineException)
        {
            // Nested deeper than the parser goes, or built to keep it busy: nobody sees structure there.
            return PlainText.Extract(source);
        }

        var writer = new BlockWriter();
        WriteBlocks(document, writer);
        return writer.ToText();
    }

    private static void WriteBlocks(ContainerBlock container, BlockWriter writer)
    {
        foreach (var block in container)
        {
            switch (block)
            {
                case YamlFrontMatterBlock or LinkReferenceDefinitionGroup:
                    break;
                case HeadingBlock heading:
                    WriteInlines(heading.Inline, writer);
                    writer.Close(BlockKind.Heading, heading.Level);
                    break;
                case HtmlBlock html:
                    HtmlText.Write(html.Lines.ToString(), writer);
                    break;
                case CodeBlock code:
                    writer.Append(code.Lines.ToString());
                    writer.Close(BlockKind.Code);
                    break;
                case LeafBlock leaf:
                    WriteInlines(leaf.Inline, writer);
                    writer.Close(BlockKind.Paragraph);
                    break;
                case ListBlock list:
                    WriteList(list, writer);
                    break;
                case Table table:
                    WriteTable(table, writer);
                    break;
                case ContainerBlock inner:
                    WriteBlocks(inner, writer);
                    break;
                default:
                    break;
            }
        }
    }

    private static void WriteList(ListBlock list, BlockWriter writer)
    {
        foreach (var item in list.OfType<ListItemBlock>())
        {
            var marker = list.IsOrdered ? $"{item.Order.ToString(CultureInfo.InvariantCulture)}. " : "- ";
            if (item.Count > 0 && item[0] is ParagraphBlock first)
            {
                writer.Append(marker);
                WriteInlines(first.Inline, writer);
                writer.Close(BlockKind.ListItem);
                item.RemoveAt(0);
            }

            WriteBlocks(item, writer);
        }
    }

    private static void WriteTable(Table table, BlockWriter writer)
    {
        foreach (var row in table.OfType<TableRow>())
        {
            for (var i = 0; i < row.Count; i++)
            {
                if (i > 0)
                {
                    writer.Append(" | ");
                }

                foreach (var leaf in row[i].Descendants<LeafBlock>())
                {
                    WriteInlines(leaf.Inline, writer);
                }
            }

            writer.Close(BlockKind.TableRow);
        }
    }

    private static void WriteInlines(ContainerInline? container, BlockWriter writer)
    {
        for (var inline = container?.FirstChild; inline is not null; inline = inline.NextSibling)
        {
            switch (inline)
            {
                case LiteralInline literal:
                    writer.Append(literal.Content.AsSpan());
                    break;
                case CodeInline code:
                    writer.Append(code.Content);
                    break;
                case LineBreakInline:
                    writer.Append(" ");
                    break;
                case HtmlEntityInline entity:
                    writer.Append(entity.Transcoded.AsSpan());
                    break;
                case AutolinkInline link:
                    writer.Append(link.Url);
                    break;
                case TaskList task:
                    writer.Append(task.Checked ? "[x]" : "[ ]");
                    break;
                case HtmlInline:
                    break;
                case ContainerInline inner:
                    WriteInlines(inner, writer);
                    break;
                default:
                    break;
            }
        }
    }
}
