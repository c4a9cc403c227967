using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Reeve.Reliability.Disk;

/// <summary>All rows of a database, its schema too, as a reader without an index gets them.</summary>
internal sealed class DatabaseRows
{
    private readonly Dictionary<string, (string[] Columns, List<string?[]> Rows)> _tables = [];

    private DatabaseRows()
    {
    }

    /// <summary>Null: they cannot be read.</summary>
    internal static DatabaseRows? Read(string path)
    {
        try
        {
            using var connection = new SqliteConnection($"Data Source={path};Mode=ReadOnly;Pooling=False");
            connection.Open();
            var rows = new DatabaseRows();
            rows.Add(connection, "sqlite_master");
            var (columns, schema) = rows._tables["sqlite_master"];
            var (type, name) = (Array.IndexOf(columns, "type"), Array.IndexOf(columns, "name"));
            foreach (var table in schema.Where(row => row[type] == "stable"))
            {
                rows.Add(connection, table[name]![1..]);
            }

            return rows;
        }
        catch (SqliteException)
        {
            return null;
        }
    }

    /// <summary>The columns, as <c>table.column</c>, in which a row is another than there.</summary>
    internal IReadOnlyList<string> Differences(DatabaseRows other)
    {
        var found = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var (table, (columns, rows)) in _tables)
        {
            if (!other._tables.TryGetValue(table, out var there) || there.Rows.Count != rows.Count
                || there.Columns.Length != columns.Length)
            {
                found.Add(table + ".*");
                continue;
            }

            for (var column = 0; column < columns.Length; column++)
            {
                if (rows.Zip(there.Rows).Any(pair => pair.First[column] != pair.Second[column]))
                {
                    found.Add($"{table}.{columns[column]}");
                }
            }
        }

        return [.. found];
    }

    private void Add(SqliteConnection connection, string table)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // The names are those of the tables.
        command.CommandText = $"SELECT * FROM \"{table}\"";
#pragma warning restore CA2100
        using var reader = command.ExecuteReader();
        var rows = new List<string?[]>();
        while (reader.Read())
        {
            rows.Add([.. Enumerable.Range(0, reader.FieldCount).Select(column => Text(reader.GetValue(column)))]);
        }

        _tables[table] = ([.. Enumerable.Range(0, reader.FieldCount).Select(reader.GetName)], rows);
    }

    // With the type: 1 and '1' are not the same to a reader.
    private static string? Text(object value) => value switch
    {
        DBNull => null,
        byte[] bytes => "x" + Convert.ToHexString(bytes),
        string text => "s" + text,
        _ => Convert.ToString(value, CultureInfo.InvariantCulture),
    };
}
