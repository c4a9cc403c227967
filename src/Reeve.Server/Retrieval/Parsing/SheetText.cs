using System.Globalization;
using DocumentFormat.OpenXml;
using DocumentFormat.OpenXml.Packaging;
using DocumentFormat.OpenXml.Spreadsheet;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>A workbook: each visible sheet is a heading and its rows, with the names of their columns.</summary>
internal static class SheetText
{
    private const int ColumnsMax = 16_384;

    internal static void Write(byte[] file, BlockWriter writer)
    {
        ZipParts.Check(file, "workbook");
        using var document = SpreadsheetDocument.Open(new MemoryStream(file, writable: false), isEditable: false);
        var part = document.WorkbookPart ?? throw ParseException.Damaged("it has no main part.");
        var values = new CellTexts(part);
        foreach (var sheet in part.Workbook?.Sheets?.Elements<Sheet>() ?? [])
        {
            if (sheet.Id?.Value is { } id && part.TryGetPartById(id, out var found) && found is WorksheetPart cells
                && (sheet.State is null || sheet.State.Value == SheetStateValues.Visible))
            {
                writer.Add(BlockKind.Heading, sheet.Name?.Value ?? "", 1);
                WriteRows(cells, values, writer);
            }
        }
    }

    // Row by row: a sheet may be much larger than what a tree of it may take.
    private static void WriteRows(WorksheetPart part, CellTexts values, BlockWriter writer)
    {
        var rows = new RowWriter(writer);
        using var reader = OpenXmlReader.Create(part);
        while (reader.Read())
        {
            if (reader.ElementType != typeof(Row) || !reader.IsStartElement
                || reader.LoadCurrentElement() is not Row row)
            {
                continue;
            }

            var cells = new List<string>();
            foreach (var cell in row.Elements<Cell>())
            {
                var column = ColumnOf(cell.CellReference?.Value) ?? cells.Count;
                while (cells.Count < Math.Min(column, ColumnsMax))
                {
                    cells.Add("");
                }

                cells.Add(values.TextOf(cell));
            }

            rows.Add(cells);
        }

        rows.End();
    }

    private static int? ColumnOf(string? reference)
    {
        var column = 0;
        foreach (var letter in (reference ?? "").TakeWhile(char.IsAsciiLetterUpper).Take(3))
        {
            column = (column * 26) + letter - 'A' + 1;
        }

        return column == 0 ? null : column - 1;
    }

    /// <summary>Strings have a part of their own, and only the format of a cell tells a date from a number.</summary>
    private sealed class CellTexts
    {
        private readonly List<string> _shared = [];
        private readonly List<bool> _isDate = [];
        private readonly bool _from1904;

        internal CellTexts(WorkbookPart part)
        {
            _from1904 = part.Workbook?.WorkbookProperties?.Date1904?.Value ?? false;
            foreach (var item in part.SharedStringTablePart?.SharedStringTable?.Elements<SharedStringItem>() ?? [])
            {
                _shared.Add(string.Concat(item.Descendants<Text>()
                    .Where(static text => text.Parent is not PhoneticRun).Select(static text => text.Text)));
            }

            var sheet = part.WorkbookStylesPart?.Stylesheet;
            var own = new Dictionary<uint, string>();
            foreach (var format in sheet?.NumberingFormats?.Elements<NumberingFormat>() ?? [])
            {
                own[format.NumberFormatId?.Value ?? 0] = format.FormatCode?.Value ?? "";
            }

            foreach (var format in sheet?.CellFormats?.Elements<CellFormat>() ?? [])
            {
                var id = format.NumberFormatId?.Value ?? 0;
                _isDate.Add(own.TryGetValue(id, out var code)
                    ? IsDate(code) : id is (>= 14 and <= 22) or (>= 45 and <= 47));
            }
        }

        internal string TextOf(Cell cell)
        {
            var raw = cell.CellValue?.Text ?? "";
            var type = cell.DataType?.Value;
            if (type == CellValues.SharedString)
            {
                var isKnown = int.TryParse(raw, NumberStyles.None, CultureInfo.InvariantCulture, out var at)
                    && at < _shared.Count;
                return isKnown ? _shared[at] : "";
            }

            if (type == CellValues.InlineString)
            {
                return cell.InlineString?.InnerText ?? "";
            }

            if (type == CellValues.Boolean)
            {
                return raw == "1" ? "true" : "false";
            }

            var style = (int)Math.Min(cell.StyleIndex?.Value ?? 0, int.MaxValue);
            return type is null || type == CellValues.Number
                ? Number(raw, style < _isDate.Count && _isDate[style])
                : raw;
        }

        private string Number(string raw, bool isDate)
        {
            if (!double.TryParse(raw, NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
            {
                return raw;
            }

            if (!isDate || number is < 0 or > 2_900_000)
            {
                // As people see it: 0.1, not 0.10000000000000001.
                return number.ToString("G15", CultureInfo.InvariantCulture);
            }

            var moment = DateTime.FromOADate(number + (_from1904 ? 1_462 : 0));
            return number < 1 ? moment.ToString("HH:mm:ss", CultureInfo.InvariantCulture)
                : moment.TimeOfDay == TimeSpan.Zero ? moment.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)
                : moment.ToString("yyyy-MM-ddTHH:mm:ss", CultureInfo.InvariantCulture);
        }

        private static bool IsDate(string code)
        {
            var isQuoted = false;
            var isBracketed = false;
            foreach (var character in code)
            {
                isQuoted ^= character == '"';
                isBracketed = character == '[' || (isBracketed && character != ']');
                if (!isQuoted && !isBracketed && "ydhsYDHS".Contains(character, StringComparison.Ordinal))
                {
                    return true;
                }
            }

            return false;
        }
    }
}
