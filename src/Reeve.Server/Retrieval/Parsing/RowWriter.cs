using System.Globalization;
using System.Text;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>
/// Writes the rows of a table so that each says by itself what its values are: <c>Name: Tea | Price: 4</c>. The first
/// row that is not empty names the columns when none of its values is a number or missing.
/// </summary>
internal sealed class RowWriter(BlockWriter writer)
{
    private const int ColumnsMax = 16_384;

    private readonly StringBuilder _line = new();
    private List<string>? _names;
    private bool _wroteRow;

    internal void Add(IReadOnlyList<string> cells)
    {
        if (cells.Count > ColumnsMax)
        {
            throw ParseException.TooComplex($"The table has more than {ColumnsMax} columns.");
        }

        if (cells.All(string.IsNullOrWhiteSpace))
        {
            return;
        }

        if (_names is null)
        {
            _names = AreNames(cells) ? [.. cells.Select(Flat)] : [];
            if (_names.Count > 0)
            {
                return;
            }
        }

        _line.Clear();
        for (var i = 0; i < cells.Count; i++)
        {
            if (!string.IsNullOrWhiteSpace(cells[i]))
            {
                _line.Append(_line.Length > 0 ? " | " : "");
                _line.Append(i < _names.Count && _names[i].Length > 0 ? _names[i] + ": " : "").Append(Flat(cells[i]));
            }
        }

        writer.Add(BlockKind.TableRow, _line.ToString());
        _wroteRow = true;
    }

    /// <summary>A table of names alone has them as its text.</summary>
    internal void End()
    {
        if (!_wroteRow && _names is { Count: > 0 })
        {
            writer.Add(BlockKind.TableRow, string.Join(" | ", _names));
        }
    }

    private static bool AreNames(IReadOnlyList<string> cells)
    {
        var count = cells.Count;
        while (count > 0 && string.IsNullOrWhiteSpace(cells[count - 1]))
        {
            count--;
        }

        return cells.Take(count).All(static cell => cell.Length <= 200 && !string.IsNullOrWhiteSpace(cell)
            && !double.TryParse(cell, NumberStyles.Any, CultureInfo.InvariantCulture, out _));
    }

    private static string Flat(string cell) => cell.ReplaceLineEndings(" ").Trim();
}
