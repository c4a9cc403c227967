using System.Text;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>Puts blocks into one text: an empty line between them, a line break between items and rows.</summary>
internal sealed class BlockWriter
{
    private readonly StringBuilder _text = new();
    private readonly StringBuilder _open = new();
    private readonly List<TextBlock> _blocks = [];

    /// <summary>Adds to the open block as it stands.</summary>
    internal void Append(ReadOnlySpan<char> text) => _open.Append(text);

    /// <summary>Adds to the open block, runs of white space joined to one space.</summary>
    internal void AppendCollapsed(ReadOnlySpan<char> text)
    {
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

        if (_blocks.Count > 0)
        {
            var tight = kind is BlockKind.ListItem or BlockKind.TableRow && _blocks[^1].Kind == kind;
            _text.Append(tight ? "\n" : "\n\n");
        }

        _blocks.Add(new TextBlock(_text.Length, _text.Length + block.Length, kind, level));
        _text.Append(block);
    }

    internal ExtractedText ToText() => new(_text.ToString(), _blocks);
}
