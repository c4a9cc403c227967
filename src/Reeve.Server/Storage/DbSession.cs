using System.Data.Common;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Reeve.Server.Storage;

/// <summary>
/// One connection with its prepared statements. SQL has positional parameters (<c>$1</c>, <c>$2</c>), so that the same
/// text serves SQLite and PostgreSQL. Not thread-safe: a session belongs to one caller at a time.
/// </summary>
internal sealed class DbSession(SqliteConnection connection) : IDisposable
{
    private readonly Dictionary<string, DbCommand> _prepared = new(ReferenceEqualityComparer.Instance);
    private readonly SqliteStatements _direct = new(connection);

    /// <summary>Statements that changed something since the session was made.</summary>
    internal long WriteCount { get; private set; }

    internal SqliteConnection Connection => connection;

    /// <summary>By which encrypted columns are read and written; null where the master key is not at hand.</summary>
    internal ContentKeys? Keys { get; set; }

    /// <summary>Runs a statement that writes; answers the number of rows it changed.</summary>
    internal int Execute(string sql, params ReadOnlySpan<object?> values)
    {
        var rows = _direct.Execute(sql, values);
        WriteCount += rows == 0 ? 0 : 1;
        return rows;
    }

    /// <summary>Runs a statement with one number RETURNING; null when no row was changed.</summary>
    internal long? ExecuteNumber(string sql, params ReadOnlySpan<object?> values)
    {
        var number = _direct.Number(sql, values);
        WriteCount += number is null ? 0 : 1;
        return number;
    }

    internal void Begin() => _direct.Execute("BEGIN", []);

    internal void BeginImmediate() => _direct.Execute("BEGIN IMMEDIATE", []);

    internal void Commit() => _direct.Execute("COMMIT", []);

    /// <summary>Never throws: after a failed commit SQLite may have rolled back by itself.</summary>
    internal void Rollback()
    {
        if (raw.sqlite3_get_autocommit(connection.Handle!) == 0)
        {
            _ = raw.sqlite3_exec(connection.Handle!, "ROLLBACK");
        }
    }

    internal T? Single<T>(string sql, Func<DbDataReader, T> map, params ReadOnlySpan<object?> values)
    {
        using var reader = Bind(sql, values).ExecuteReader();
        return reader.Read() ? map(reader) : default;
    }

    internal List<T> List<T>(string sql, Func<DbDataReader, T> map, params ReadOnlySpan<object?> values)
    {
        var rows = new List<T>();
        using var reader = Bind(sql, values).ExecuteReader();
        while (reader.Read())
        {
            rows.Add(map(reader));
        }

        return rows;
    }

    /// <summary>Hands out the rows one by one: of many large ones no list is made.</summary>
    internal void Each(string sql, Action<DbDataReader> take, params ReadOnlySpan<object?> values)
    {
        using var reader = Bind(sql, values).ExecuteReader();
        while (reader.Read())
        {
            take(reader);
        }
    }

    /// <summary>The number in the first column; 0 when there is no row or its value is null.</summary>
    internal long Count(string sql, params ReadOnlySpan<object?> values) => _direct.Number(sql, values) ?? 0;

    /// <summary>The bytes in the first column of the first row; null when there is no row.</summary>
    internal byte[]? Bytes(string sql, params ReadOnlySpan<object?> values) => _direct.Bytes(sql, values);

    /// <summary>For a statement that selects 1.</summary>
    internal bool Exists(string sql, params ReadOnlySpan<object?> values) => _direct.Number(sql, values) is not null;

    /// <exception cref="StorageException">It is gone or damaged, or the master key is not at hand.</exception>
    internal ContentKey ContentKey(TenantContext tenant) => Keys?.Find(this, tenant)
        ?? throw new StorageException(StorageFault.Damaged, "The data is encrypted and the master key is not here.");

    /// <summary>A text as its column holds it: encrypted, or as it is.</summary>
    internal object? Stored(bool isSealed, TenantContext tenant, string column, string id, string? text) =>
        isSealed && text is not null ? ContentKey(tenant).Seal(column, id, text) : text;

    /// <summary>The text of a column that may be encrypted; null where it is.</summary>
    /// <exception cref="StorageException">It is not as it was written, or its key is not to be had.</exception>
    internal string? Text(DbDataReader row, int index, TenantContext tenant, string column, string id)
    {
        if (row.IsDBNull(index))
        {
            return null;
        }

        if (row.GetFieldType(index) != typeof(byte[]))
        {
            return row.GetString(index);
        }

        try
        {
            return Encoding.UTF8.GetString(ContentKey(tenant).Open(column, id, row.GetFieldValue<byte[]>(index)));
        }
        catch (CryptographicException error)
        {
            throw new StorageException(
                StorageFault.Damaged, $"{column} of {id} is encrypted and not as it was written.", error);
        }
    }

    public void Dispose()
    {
        foreach (var command in _prepared.Values)
        {
            command.Dispose();
        }

        _direct.Dispose();
        connection.Dispose();
    }

    private DbCommand Bind(string sql, ReadOnlySpan<object?> values)
    {
        if (!_prepared.TryGetValue(sql, out var command))
        {
            command = connection.CreateCommand();
#pragma warning disable CA2100 // Callers pass constants; a test refuses interpolated SQL.
            command.CommandText = sql;
#pragma warning restore CA2100
            for (var i = 0; i < values.Length; i++)
            {
                var parameter = command.CreateParameter();
                parameter.ParameterName = $"${i + 1}";
                command.Parameters.Add(parameter);
            }

            _prepared.Add(sql, command);
        }

        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters[i].Value = values[i] ?? DBNull.Value;
        }

        return command;
    }
}

/// <summary>Reading of columns that may be null.</summary>
internal static class DbRow
{
    internal static string? StringOrNull(this DbDataReader row, int column) =>
        row.IsDBNull(column) ? null : row.GetString(column);

    internal static long? LongOrNull(this DbDataReader row, int column) =>
        row.IsDBNull(column) ? null : row.GetInt64(column);

    internal static DateTimeOffset Time(this DbDataReader row, int column) =>
        DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(column));

    internal static byte[]? BytesOrNull(this DbDataReader row, int column) =>
        row.IsDBNull(column) ? null : row.GetFieldValue<byte[]>(column);
}
