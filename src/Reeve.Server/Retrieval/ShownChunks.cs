using System.Buffers;
using System.Text;

namespace Reeve.Server.Retrieval;

/// <summary>
/// The chunks that a search shows, best first. A chunk is a copy when all that it says stands in one piece in a better
/// one: it takes no place. Letter case, white space, quotation marks and the marks of Markdown say nothing; a number, a
/// name or a <c>not</c> that differs does, however long the rest is (decision 0037).
/// </summary>
internal sealed class ShownChunks
{
    private static readonly SearchValues<char> Marks = SearchValues.Create("*_#`|\"'“”„‘’«»•");

    private readonly List<(string Text, string[] Headings)> _shown = [];

    /// <summary>False: the chunk is a copy of one that is shown.</summary>
    internal bool Add(Chunk chunk)
    {
        var text = Plain(chunk.Text);
        var headings = chunk.Headings.Select(Plain).ToArray();
        if (_shown.Exists(better => better.Text.Contains(text, StringComparison.Ordinal) && Array.TrueForAll(headings,
            heading => better.Headings.Contains(heading) || better.Text.Contains(heading, StringComparison.Ordinal))))
        {
            return false;
        }

        _shown.Add((text, headings));
        return true;
    }

    /// <summary>In lower case; words are parted and enclosed by single spaces, so that no part of one is one.</summary>
    private static string Plain(string text)
    {
        var plain = new StringBuilder(" ", text.Length + 2);
        for (var i = 0; i < text.Length; i++)
        {
            var character = text[i];
            if (char.IsWhiteSpace(character) || IsMarkOfLine(text, i))
            {
                if (plain[^1] != ' ')
                {
                    plain.Append(' ');
                }
            }
            else if (!Marks.Contains(character))
            {
                plain.Append(char.ToLowerInvariant(character));
            }
        }

        return (plain[^1] == ' ' ? plain : plain.Append(' ')).ToString();
    }

    /// <summary>The dash of an item and the bracket of a quotation; elsewhere they are signs like any other.</summary>
    private static bool IsMarkOfLine(string text, int index) => text[index] is '-' or '>'
        && index + 1 < text.Length && text[index + 1] == ' ' && (index == 0 || text[index - 1] == '\n');
}
