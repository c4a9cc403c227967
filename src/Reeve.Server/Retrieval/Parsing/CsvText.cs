using System.Text;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>A table as text: values between commas, semicolons, tabs or bars, quoted where they have those.</summary>
internal static class CsvText
{
    private const int CellCharactersMax = 100_000;
    private const int SampleLines = 20;

    /// <summary>Fewer than a cell may have: no cell of a sample is too long.</summary>
    private const int SampleCharacters = 64_000;

    internal static void Write(string source, BlockWriter writer)
    {
        var rows = new RowWriter(writer);
        foreach (var row in Rows(source, Delimiter(source)))
        {
            rows.Add(row);
        }

        rows.End();
    }

    /// <summary>The one that stands equally often, and at all, in most of the first lines.</summary>
    private static char Delimiter(string source)
    {
        source = source[..Math.Min(source.Length, SampleCharacters)];
        var (best, bestScore) = (',', -1.0);
        foreach (var candidate in (char[])[',', ';', '\t', '|'])
        {
            var widths = Rows(source, candidate).Take(SampleLines).Select(static row => row.Count)
                .GroupBy(static width => width).OrderByDescending(static group => group.Count()).First();
            var score = widths.Key > 1 ? widths.Count() + (Math.Min(widths.Key, 50) / 100.0) : 0;
            if (score > bestScore)
            {
                (best, bestScore) = (candidate, score);
            }
        }

        return best;
    }

    private static IEnumerable<List<string>> Rows(string source, char delimiter)
    {
        var cell = new StringBuilder();
        var row = new List<string>();
        var quoted = false;
        for (var i = 0; i < source.Length; i++)
        {
            var character = source[i];
            if (quoted && character == '"' && i + 1 < source.Length && source[i + 1] == '"')
            {
                cell.Append('"');
                i++;
            }
            else if (character == '"' && (quoted || cell.Length == 0))
            {
                quoted = !quoted;
            }
            else if (!quoted && (character == delimiter || character is '\n' or '\r'))
            {
                row.Add(cell.ToString());
                cell.Clear();
                if (character != delimiter)
                {
                    i += character == '\r' && i + 1 < source.Length && source[i + 1] == '\n' ? 1 : 0;
                    yield return row;
                    row = [];
                }
            }
            else
            {
                cell.Append(cell.Length < CellCharactersMax ? character : throw ParseException.TooComplex(
                    $"A value of the table has more than {CellCharactersMax} characters; a quotation mark may be "
                    + "missing at its end."));
            }
        }

        row.Add(cell.ToString());
        yield return row;
    }
}
