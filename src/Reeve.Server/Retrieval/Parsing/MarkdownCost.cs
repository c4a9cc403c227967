namespace Reeve.Server.Retrieval.Parsing;

/// <summary>
/// How to read a Markdown text, seen before it is read: some cost their parser the square of their length, and it
/// cannot be stopped in the middle.
/// </summary>
internal sealed class MarkdownCost
{
    /// <summary>Link definitions in a row; reading them costs the square of their number.</summary>
    private const int DefinitionsMax = 5_000;

    /// <summary>
    /// Cells of one table by the rules that forgive everything: one star or tilde, and reading costs the square.
    /// </summary>
    private const int ForgivingCellsMax = 500;

    /// <summary>
    /// Cells that a parser may add to the rows of one table, beside a quarter of those that are there. It makes all
    /// rows as long as the longest, so one long row and many short ones cost their product.
    /// </summary>
    private const int CellsAddedMax = 5_000;

    private int _definitions;
    private Rows _rows;

    /// <summary>Read as Markdown it would cost too much, or lose cells.</summary>
    internal bool IsTooHigh { get; private set; }

    /// <summary>
    /// Tables are to be read by the strict rules of GitHub, which cost no more than their length and drop cells that
    /// the head has not.
    /// </summary>
    internal bool HasLargeTable { get; private set; }

    internal static MarkdownCost Of(string source)
    {
        var cost = new MarkdownCost();
        foreach (var range in source.AsSpan().SplitAny('\r', '\n')) // Other ends of lines the parser does not know.
        {
            var isInsideEnd = range.Start.Value > 0 && source.AsSpan(range.Start.Value - 1).StartsWith("\r\n");
            if (!isInsideEnd)
            {
                cost.Add(source.AsSpan(range));
            }
        }

        return cost;
    }

    private void Add(ReadOnlySpan<char> line)
    {
        _definitions = line.TrimStart(" >").StartsWith('[') ? _definitions + 1 : 0;
        IsTooHigh |= _definitions > DefinitionsMax;
        if (line.Trim(" \t").IsEmpty)
        {
            _rows = default;
            return;
        }

        var cells = CountCells(line);
        _rows = new Rows(
            _rows.Count + 1, _rows.Cells + cells, Math.Max(_rows.Width, cells), cells,
            IsRuler(line) && _rows.Head == 0 ? _rows.Last : _rows.Head);
        if (_rows.Head > 0 && (_rows.Cells > ForgivingCellsMax || _rows.Added > ForgivingCellsMax))
        {
            HasLargeTable = true;
            IsTooHigh |= _rows.Width > _rows.Head || _rows.Added > CellsAddedMax + (_rows.Cells / 4);
        }
    }

    private static int CountCells(ReadOnlySpan<char> line)
    {
        var row = line.Trim(" \t>");
        row = row.StartsWith('|') ? row[1..] : row;
        row = row.EndsWith('|') ? row[..^1] : row;
        return row.Count('|') + 1;
    }

    /// <summary>What stands between the head of a table and its rows; rather too many than one too few.</summary>
    private static bool IsRuler(ReadOnlySpan<char> line)
    {
        foreach (var letter in line)
        {
            if (char.IsLetterOrDigit(letter))
            {
                return false;
            }
        }

        return line.Contains('-');
    }

    /// <summary>Lines in a row; <c>Head</c> is the width of the one above the ruler, 0 without one.</summary>
    private readonly record struct Rows(long Count, long Cells, int Width, int Last, int Head)
    {
        internal long Added => (Count * Width) - Cells;
    }
}
