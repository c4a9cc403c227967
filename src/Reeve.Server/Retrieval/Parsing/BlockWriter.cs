using System.Text;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>Puts blocks into one text: an empty line between them, a line break between items and rows.</summary>
internal sealed class BlockWriter(int charactersMax = int.MaxValue)
{
    private const int BlocksMax = 400_000;

    private readonly StringBuilder _text = new();
    private readonly StringBuilder _open = new();
    private readonly List<TextBlock> _blocks = [];

    /// <summary>Of the blocks that are closed from now on.</summary>
    internal int? Page { get; set; }

    /// <summary>Adds to the open block as it stands.</summary>
    internal void Append(ReadOnlySpan<char> text)
    {
        if (_text.Length + _open.Length + text.Length > charactersMax)
        {
            throw ParseException.TooMuchText(charactersMax);
        }

        _open.Append(text);
    }

    /// <summary>Adds a block that is whole.</summary>
    internal void Add(BlockKind kind, string text, int level = 0)
    {
        Append(text);
        Close(kind, level);
    }

    /// <summary>Adds to the open block, runs of white space joined to one space.</summary>
    internal void AppendCollapsed(ReadOnlySpan<char> text)
    {
        if (_text.Length + _open.Length + text.Length > charactersMax)
        {
            throw ParseException.TooMuchText(charactersMax);
        }

        foreach (var character in text)
        {
            if (!char.IsWhiteSpace(character))
            {
                _open.Append(character);
            }
            else if (_open.Length > 0 && !char.IsWhiteSpace(_open[^1]))
            {
                _open.Append(' ');
            }
        }
    }

    /// <summary>Closes the open block; one without content is dropped.</summary>
    internal void Close(BlockKind kind, int level = 0)
    {
        var block = kind == BlockKind.Code ? _open.ToString().Trim('\n', '\r').TrimEnd() : _open.ToString().Trim();
        _open.Clear();
        if (string.IsNullOrWhiteSpace(block) || block is "-" or "|")
        {
            return;
        }

        if (_blocks.Count >= BlocksMax)
        {
            throw ParseException.TooComplex($"The file has more than {BlocksMax} paragraphs or rows; split it.");
        }

        if (_blocks.Count > 0)
        {
            var tight = kind is BlockKind.ListItem or BlockKind.TableRow && _blocks[^1].Kind == kind;
            _text.Append(tight ? "\n" : "\n\n");
        }

        _blocks.Add(new TextBlock(_text.Length, _text.Length + block.Length, kind, level, Page));
        _text.Append(block);
    }

    internal ExtractedText ToText() => new(_text.ToString(), _blocks);
}
