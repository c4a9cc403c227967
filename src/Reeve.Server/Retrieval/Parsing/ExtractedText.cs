namespace Reeve.Server.Retrieval.Parsing;

internal enum BlockKind
{
    Heading,
    Paragraph,
    ListItem,
    TableRow,
    Code,
}

/// <summary>
/// A part of the text with a role; <c>Level</c> is that of a heading, 1 to 6; <c>Page</c> counts from 1, in what has
/// pages or slides.
/// </summary>
internal readonly record struct TextBlock(int Start, int End, BlockKind Kind, int Level, int? Page = null);

/// <summary>What a document says, without its syntax. Blocks are in order and part only white space.</summary>
internal sealed record ExtractedText(string Text, IReadOnlyList<TextBlock> Blocks);
