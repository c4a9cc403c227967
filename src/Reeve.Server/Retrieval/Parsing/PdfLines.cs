using System.Text;
using UglyToad.PdfPig.Content;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>A line of a page: its baseline from the bottom, the size of most of its letters in half points.</summary>
internal sealed record PdfLine(string Text, double Y, double Size);

/// <summary>
/// Puts letters together in the order in which the page draws them, which is that of reading in what programs write,
/// columns too. A line ends where the baseline changes; a gap is a space.
/// </summary>
internal static class PdfLines
{
    internal static List<PdfLine> Of(IReadOnlyList<Letter> letters)
    {
        var lines = new List<PdfLine>();
        var open = new OpenLine();
        foreach (var letter in letters)
        {
            if (open.Breaks(letter))
            {
                open.Close(lines);
            }

            open.Add(letter);
        }

        open.Close(lines);
        return lines;
    }

    private sealed class OpenLine
    {
        private readonly StringBuilder _text = new();
        private readonly Dictionary<double, int> _sizes = [];
        private double _y;
        private double _right;
        private double _size;

        internal bool Breaks(Letter letter)
        {
            if (_text.Length == 0)
            {
                return false;
            }

            var size = Math.Max(_size, 1);
            return Math.Abs(letter.StartBaseLine.Y - _y) > size * 0.5 || letter.StartBaseLine.X < _right - (size * 3);
        }

        internal void Add(Letter letter)
        {
            var value = letter.Value ?? "";
            if (_text.Length == 0 && string.IsNullOrWhiteSpace(value))
            {
                return;
            }

            var size = Math.Round(Math.Clamp(letter.PointSize, 0, 1_000) * 2) / 2;
            if (_text.Length == 0)
            {
                (_y, _size) = (letter.StartBaseLine.Y, size);
            }
            else if (letter.StartBaseLine.X - _right > Math.Max(size, 1) * 0.2 && !char.IsWhiteSpace(_text[^1]))
            {
                _text.Append(' ');
            }

            foreach (var character in value)
            {
                // Fonts name letters by numbers of their own; what is no character of any text is left out.
                _text.Append(char.IsControl(character) ? ' ' : character);
            }

            _right = letter.EndBaseLine.X;
            _sizes[size] = _sizes.GetValueOrDefault(size) + 1;
        }

        internal void Close(List<PdfLine> lines)
        {
            var text = string.Join(' ', _text.ToString().Normalize(NormalizationForm.FormKC)
                .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
            if (text.Length > 0)
            {
                lines.Add(new PdfLine(text, _y, _sizes.MaxBy(static one => one.Value).Key));
            }

            _text.Clear();
            _sizes.Clear();
        }
    }
}
