using System.Text;

namespace Reeve.Server.Conversations;

/// <summary>The title of a conversation: its first input on one line, cut at 80 characters on a word.</summary>
internal static class Title
{
    private const int LengthMax = 80;

    internal static string From(string input)
    {
        var line = new StringBuilder(LengthMax + 1);
        var length = 0;
        var wordEnd = 0;
        foreach (var rune in input.EnumerateRunes())
        {
            if (Rune.IsWhiteSpace(rune) || Rune.IsControl(rune))
            {
                if (line.Length > 0 && line[^1] != ' ')
                {
                    wordEnd = line.Length;
                    line.Append(' ');
                    length++;
                }
            }
            else if (length == LengthMax)
            {
                // One word that fills the line is cut in its middle; nothing else would be left.
                return line.ToString(0, line[^1] == ' ' || wordEnd == 0 ? line.Length : wordEnd).TrimEnd();
            }
            else
            {
                line.Append(rune.ToString());
                length++;
            }

            if (length > LengthMax)
            {
                break;
            }
        }

        return line.ToString().TrimEnd();
    }
}
