using System.Buffers;
using System.Text;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Reeve.Server.Storage;

/// <summary>
/// Statements that answer nothing, one number or one value of bytes, prepared once and run through SQLite's own
/// interface: the writer is one thread for the whole server, and a command object costs it several times what a
/// statement does.
/// </summary>
internal sealed class SqliteStatements(SqliteConnection connection) : IDisposable
{
    /// <summary>SQL is constants, so there are few; more means that somebody builds SQL from values.</summary>
    private const int StatementsMax = 1_000;

    private const int StackBytesMax = 512;

    // Constants are interned, so that the reference is the key and no text is hashed.
    private readonly Dictionary<string, Statement> _prepared = new(ReferenceEqualityComparer.Instance);

    /// <summary>Runs a statement without a result; answers the number of rows it changed.</summary>
    internal int Execute(string sql, ReadOnlySpan<object?> values)
    {
        var statement = Bind(sql, values);
        try
        {
            Check(raw.sqlite3_step(statement), raw.SQLITE_DONE);
            return raw.sqlite3_changes(connection.Handle!);
        }
        finally
        {
            _ = raw.sqlite3_reset(statement);
        }
    }

    /// <summary>
    /// Runs a statement whose first column is a number; null when there is no row or its value is null.
    /// </summary>
    internal long? Number(string sql, ReadOnlySpan<object?> values)
    {
        var statement = Bind(sql, values);
        try
        {
            var code = raw.sqlite3_step(statement);
            if (code == raw.SQLITE_DONE)
            {
                return null;
            }

            Check(code, raw.SQLITE_ROW);
            return raw.sqlite3_column_type(statement, 0) == raw.SQLITE_NULL
                ? null
                : raw.sqlite3_column_int64(statement, 0);
        }
        finally
        {
            _ = raw.sqlite3_reset(statement);
        }
    }

    /// <summary>Runs a statement whose first column is bytes; null when there is no row.</summary>
    internal byte[]? Bytes(string sql, ReadOnlySpan<object?> values)
    {
        var statement = Bind(sql, values);
        try
        {
            var code = raw.sqlite3_step(statement);
            if (code == raw.SQLITE_DONE)
            {
                return null;
            }

            Check(code, raw.SQLITE_ROW);
            return raw.sqlite3_column_blob(statement, 0).ToArray();
        }
        finally
        {
            _ = raw.sqlite3_reset(statement);
        }
    }

    public void Dispose()
    {
        foreach (var statement in _prepared.Values)
        {
            statement.Handle.Dispose();
        }

        _prepared.Clear();
    }

    private sqlite3_stmt Bind(string sql, ReadOnlySpan<object?> values)
    {
        if (!_prepared.TryGetValue(sql, out var statement))
        {
            if (_prepared.Count == StatementsMax)
            {
                throw new InvalidOperationException("Too many different statements: SQL must be constants.");
            }

            statement = Prepare(sql, values.Length);
            _prepared.Add(sql, statement);
        }

        for (var i = 0; i < values.Length; i++)
        {
            Check(Bind(statement.Handle, statement.Indexes[i], values[i]), raw.SQLITE_OK);
        }

        return statement.Handle;
    }

    // SQLite numbers $1, $2, … by their first place in the text, PostgreSQL by their name; the name is what is meant.
    private Statement Prepare(string sql, int count)
    {
        Check(raw.sqlite3_prepare_v3(connection.Handle!, sql, raw.SQLITE_PREPARE_PERSISTENT, out var handle),
            raw.SQLITE_OK);
        var indexes = new int[count];
        for (var i = 0; i < count; i++)
        {
            indexes[i] = raw.sqlite3_bind_parameter_index(handle, $"${i + 1}");
        }

        return raw.sqlite3_bind_parameter_count(handle) == count && !indexes.Contains(0)
            ? new Statement(handle, indexes)
            : throw new InvalidOperationException($"The statement does not have {count} parameters, as were given.");
    }

    private static int Bind(sqlite3_stmt statement, int index, object? value) => value switch
    {
        null => raw.sqlite3_bind_null(statement, index),
        string text => BindText(statement, index, text),
        long number => raw.sqlite3_bind_int64(statement, index, number),
        int number => raw.sqlite3_bind_int64(statement, index, number),
        bool flag => raw.sqlite3_bind_int64(statement, index, flag ? 1 : 0),
        double number => raw.sqlite3_bind_double(statement, index, number),
        byte[] bytes => raw.sqlite3_bind_blob(statement, index, bytes),
        _ => throw new ArgumentException($"A value of type {value.GetType().Name} cannot be stored."),
    };

    private static int BindText(sqlite3_stmt statement, int index, string text)
    {
        var bytesMax = Encoding.UTF8.GetMaxByteCount(text.Length);
        if (bytesMax <= StackBytesMax)
        {
            Span<byte> onStack = stackalloc byte[StackBytesMax];
            return raw.sqlite3_bind_text(statement, index, onStack[..Encoding.UTF8.GetBytes(text, onStack)]);
        }

        var rented = ArrayPool<byte>.Shared.Rent(bytesMax);
        try
        {
            return raw.sqlite3_bind_text(statement, index, rented.AsSpan(0, Encoding.UTF8.GetBytes(text, rented)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private sealed record Statement(sqlite3_stmt Handle, int[] Indexes);

    private void Check(int code, int expected)
    {
        if (code != expected)
        {
            throw new SqliteException(
                raw.sqlite3_errmsg(connection.Handle!).utf8_to_string(), code & 0xff, code);
        }
    }
}
