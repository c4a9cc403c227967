using System.Text;
using Microsoft.Data.Sqlite;

namespace Reeve.Bench.Retrieval;

/// <summary>
/// The baseline: SQLite's FTS5 with Porter stemming and its BM25, every word of the query joined by OR.
/// </summary>
internal sealed class PlainFts : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly SqliteCommand _insert;
    private readonly SqliteCommand _search;

    /// <param name="path">The file; null keeps it in memory.</param>
    internal PlainFts(string? path)
    {
        var source = new SqliteConnectionStringBuilder { DataSource = path ?? ":memory:", Pooling = false };
        _connection = new SqliteConnection(source.ToString());
        _connection.Open();
        Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384; "
            + "CREATE VIRTUAL TABLE passages USING fts5(text, tokenize='porter unicode61')");
        _insert = Command("INSERT INTO passages (text) VALUES ($1)");
        _search = Command(
            "SELECT rowid FROM passages WHERE passages MATCH $1 ORDER BY bm25(passages), rowid LIMIT 10");
    }

    /// <summary>In one durable transaction.</summary>
    internal void Add(IEnumerable<string> texts)
    {
        Execute("BEGIN");
        foreach (var text in texts)
        {
            _insert.Parameters[0].Value = text;
            _insert.ExecuteNonQuery();
        }

        Execute("COMMIT");
    }

    /// <summary>The ten best, by the order in which they were added, from 0.</summary>
    internal List<int> Search(string query)
    {
        var found = new List<int>();
        var match = Match(query);
        if (match.Length == 0)
        {
            return found;
        }

        _search.Parameters[0].Value = match;
        using var reader = _search.ExecuteReader();
        while (reader.Read())
        {
            found.Add(reader.GetInt32(0) - 1);
        }

        return found;
    }

    public void Dispose()
    {
        _insert.Dispose();
        _search.Dispose();
        _connection.Dispose();
    }

    private static string Match(string query)
    {
        var words = new HashSet<string>(StringComparer.Ordinal);
        var word = new StringBuilder();
        foreach (var character in query + " ")
        {
            if (char.IsLetterOrDigit(character))
            {
                word.Append(char.ToLowerInvariant(character));
            }
            else if (word.Length > 0)
            {
                words.Add($"\"{word}\"");
                word.Clear();
            }
        }

        return string.Join(" OR ", words);
    }

    private SqliteCommand Command(string sql)
    {
        var command = _connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this class.
        command.CommandText = sql;
#pragma warning restore CA2100
        if (sql.Contains("$1", StringComparison.Ordinal))
        {
            command.Parameters.Add(new SqliteParameter("$1", ""));
        }

        return command;
    }

    private void Execute(string sql)
    {
        using var command = Command(sql);
        command.ExecuteNonQuery();
    }
}
