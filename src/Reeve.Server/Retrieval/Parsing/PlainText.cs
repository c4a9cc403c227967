namespace Reeve.Server.Retrieval.Parsing;

/// <summary>Text without syntax: kept as it is, line ends apart; empty lines part its paragraphs.</summary>
internal static class PlainText
{
    internal static ExtractedText Extract(string source)
    {
        var text = source.ReplaceLineEndings("\n");
        var blocks = new List<TextBlock>();
        var start = -1;
        var end = 0;
        var position = 0;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            var trimmed = line.TrimEnd();
            if (trimmed.Length == 0)
            {
                Add(blocks, start, end);
                start = -1;
            }
            else
            {
                start = start < 0 ? position : start;
                end = position + trimmed.Length;
            }

            position += line.Length + 1;
        }

        Add(blocks, start, end);
        return new ExtractedText(text, blocks);
    }

    private static void Add(List<TextBlock> blocks, int start, int end)
    {
        if (start >= 0)
        {
            blocks.Add(new TextBlock(start, end, BlockKind.Paragraph, 0));
        }
    }
}
