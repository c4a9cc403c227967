using System.Data.Common;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Reeve.Server.Storage;

/// <summary>
/// Transactions without an ADO.NET transaction object: a prepared command refuses to run inside one that it was not told
/// of, and assigning it to every cached command costs more than the statement itself.
/// </summary>
internal static class SqliteTransactions
{
    internal static void BeginTransactionFast(this DbConnection connection) => Run(connection, "BEGIN"u8);

    internal static void BeginImmediateFast(this DbConnection connection) => Run(connection, "BEGIN IMMEDIATE"u8);

    internal static void CommitFast(this DbConnection connection) => Run(connection, "COMMIT"u8);

    /// <summary>Never throws: after a failed commit SQLite may have rolled back by itself.</summary>
    internal static void RollbackFast(this DbConnection connection)
    {
        var handle = ((SqliteConnection)connection).Handle!;
        if (raw.sqlite3_get_autocommit(handle) == 0)
        {
            _ = raw.sqlite3_exec(handle, "ROLLBACK");
        }
    }

    private static void Run(DbConnection connection, ReadOnlySpan<byte> sql)
    {
        var handle = ((SqliteConnection)connection).Handle!;
        var code = raw.sqlite3_prepare_v2(handle, sql, out var statement);
        using (statement)
        {
            code = code == raw.SQLITE_OK ? raw.sqlite3_step(statement) : code;
        }

        if (code != raw.SQLITE_DONE)
        {
            throw new SqliteException(raw.sqlite3_errmsg(handle).utf8_to_string(), code & 0xff, code);
        }
    }
}
