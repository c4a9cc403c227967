using System.Data.Common;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;

namespace Reeve.Server.Storage;

/// <summary>Applies the numbered SQL files of <c>Migrations/</c>, forward only, each in one transaction.</summary>
internal static class Migrator
{
    private const string OwnTable = "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, "
        + "sha256 TEXT NOT NULL, applied_at INTEGER NOT NULL)";

    internal static void Apply(DbSession session, TimeProvider time)
    {
        session.Execute(OwnTable);
        var applied = RequireKnown(session);
        foreach (var (name, sql) in Scripts())
        {
            if (applied.Contains(name))
            {
                continue;
            }

            session.BeginImmediate();
            try
            {
                Run(session.Connection, sql);
                session.Execute("INSERT INTO schema_migrations (name, sha256, applied_at) VALUES ($1, $2, $3)",
                    name, Hash(sql), time.GetUtcNow().ToUnixTimeMilliseconds());
                session.Commit();
            }
            catch
            {
                session.Rollback();
                throw;
            }
        }
    }

    /// <summary>What the migrations of these names make: the statement of each thing by its name.</summary>
    internal static Dictionary<string, string?> SchemaOf(IReadOnlyCollection<string> applied)
    {
        using var connection = new SqliteConnection("Data Source=:memory:;Pooling=False");
        connection.Open();
        using var session = new DbSession(connection);
        session.Execute(OwnTable);
        foreach (var (_, sql) in Scripts().Where(script => applied.Contains(script.Name)))
        {
            Run(connection, sql);
        }

        return SchemaOf(session);
    }

    /// <summary>The statement of each thing of a database by its name.</summary>
    internal static Dictionary<string, string?> SchemaOf(DbSession session) => session.List(
        "SELECT type || ' ' || name || ' ' || tbl_name, sql FROM sqlite_master",
        static row => (Name: row.StringOrNull(0) ?? "", Sql: row.StringOrNull(1)))
        .ToDictionary(row => row.Name, row => row.Sql, StringComparer.Ordinal);

    /// <summary>The names of the migrations that a database has, in order.</summary>
    internal static List<string> Applied(DbSession session) =>
        session.List("SELECT name FROM schema_migrations ORDER BY name", static row => row.GetString(0));

    /// <summary>The first migration that this version does not know; null when it knows all.</summary>
    internal static string? Newer(IEnumerable<string> applied) =>
        applied.FirstOrDefault(name => Scripts().All(script => script.Name != name));

    /// <summary>The names of the migrations, when all are those of this version.</summary>
    /// <exception cref="StorageException">One is newer, or had another text.</exception>
    internal static List<string> RequireKnown(DbSession session)
    {
        var applied = Applied(session);
        if (Newer(applied) is { } newer)
        {
            throw new StorageException(StorageFault.Unavailable,
                $"The data folder was written by a newer Reeve (it has {newer}); start that version instead.");
        }

        foreach (var (name, sql) in Scripts())
        {
            if (session.Exists("SELECT 1 FROM schema_migrations WHERE name = $1 AND sha256 <> $2", name, Hash(sql)))
            {
                throw new StorageException(StorageFault.Unavailable,
                    $"The data folder was made with another text of {name}; its schema is not the one expected.");
            }
        }

        return applied;
    }

    private static string Hash(string sql) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(sql)));

    private static void Run(DbConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // An embedded file of this assembly.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    private static IEnumerable<(string Name, string Sql)> Scripts()
    {
        const string Prefix = "Reeve.Server.Storage.Migrations.";
        var assembly = Assembly.GetExecutingAssembly();
        foreach (var resource in assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            yield return (resource[Prefix.Length..], reader.ReadToEnd());
        }
    }
}
