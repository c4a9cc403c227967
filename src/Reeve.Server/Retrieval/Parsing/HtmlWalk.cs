using AngleSharp.Dom;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>
/// Writes the readable text of a tree. A loop with a stack of its own, not recursion: the tree's depth is the author's
/// choice, the thread's stack is not. It counts children itself, since asking a node for its neighbour is a search.
/// </summary>
internal sealed class HtmlWalk(BlockWriter writer)
{
    private static readonly HashSet<string> Noise = new(StringComparer.Ordinal)
    {
        "script", "style", "noscript", "template", "head", "nav", "footer", "aside", "iframe", "object", "embed", "svg",
        "math", "canvas", "audio", "video", "button", "select", "textarea", "dialog", "menu",
    };

    private static readonly HashSet<string> Paragraphs = new(StringComparer.Ordinal)
    {
        "p", "div", "section", "article", "main", "header", "blockquote", "ul", "ol", "dl", "dt", "dd", "table",
        "caption", "figure", "figcaption", "hr", "form", "fieldset", "details", "summary", "address", "body",
    };

    private readonly Stack<Frame> _open = new();
    private int _preformatted;
    private int _cells;

    internal void Read(IElement body)
    {
        Enter(body);
        while (_open.TryPeek(out var frame))
        {
            if (frame.Next >= frame.Children.Length)
            {
                _open.Pop();
                Leave(frame);
                continue;
            }

            switch (frame.Children[frame.Next++])
            {
                case IText text when _preformatted > 0:
                    writer.Append(text.Data);
                    break;
                case IText text:
                    writer.AppendCollapsed(text.Data);
                    break;
                case IElement element when IsRead(element):
                    Enter(element);
                    frame.ElementCount++;
                    break;
                default:
                    break;
            }
        }

        writer.Close(BlockKind.Paragraph);
    }

    private static bool IsRead(IElement element) => !Noise.Contains(element.LocalName)
        && !element.HasAttribute("hidden") && element.GetAttribute("aria-hidden") != "true";

    private void Enter(IElement element)
    {
        var name = element.LocalName;
        var block = BlockOf(name);
        _open.TryPeek(out var parent);
        if (block is not null)
        {
            CloseBefore(name, parent);
        }

        switch (name)
        {
            case "br":
                writer.Append("\n");
                break;
            case "img":
                writer.AppendCollapsed(element.GetAttribute("alt") ?? "");
                break;
            case "td" or "th":
                writer.Append(parent is { ElementCount: > 0 } ? " | " : "");
                _cells++;
                break;
            case "li":
                writer.Append("- ");
                break;
            case "pre":
                _preformatted++;
                break;
            default:
                break;
        }

        _open.Push(new Frame(name, block, [.. element.ChildNodes]));
    }

    private void Leave(Frame frame)
    {
        _cells -= frame.Name is "td" or "th" ? 1 : 0;
        _preformatted -= frame.Name == "pre" ? 1 : 0;
        if (frame.Block is not { } block)
        {
            return;
        }

        if (_cells > 0)
        {
            writer.AppendCollapsed(" "); // A block inside a cell stays in its row.
        }
        else
        {
            writer.Close(block.Kind, block.Level);
        }
    }

    // Text that stood before a block inside another block, such as the words of an item before its inner list.
    private void CloseBefore(string name, Frame? parent)
    {
        if (_cells > 0)
        {
            writer.AppendCollapsed(" ");
            return;
        }

        // The first paragraph of an item goes on after the item's mark.
        if (parent is not { Name: "li", ElementCount: 0 } || name is not ("p" or "div"))
        {
            var (kind, level) = parent?.Block ?? (BlockKind.Paragraph, 0);
            writer.Close(kind, level);
        }
    }

    private static (BlockKind Kind, int Level)? BlockOf(string name) => name switch
    {
        ['h', >= '1' and <= '6' and var digit] => (BlockKind.Heading, digit - '0'),
        "li" => (BlockKind.ListItem, 0),
        "tr" => (BlockKind.TableRow, 0),
        "pre" => (BlockKind.Code, 0),
        _ => Paragraphs.Contains(name) ? (BlockKind.Paragraph, 0) : null,
    };

    private sealed class Frame(string name, (BlockKind Kind, int Level)? block, INode[] children)
    {
        internal string Name { get; } = name;

        internal (BlockKind Kind, int Level)? Block { get; } = block;

        internal INode[] Children { get; } = children;

        internal int Next { get; set; }

        internal int ElementCount { get; set; }
    }
}
