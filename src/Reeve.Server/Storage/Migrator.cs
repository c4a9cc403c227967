using System.Data.Common;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;

namespace Reeve.Server.Storage;

/// <summary>Applies the numbered SQL files of <c>Migrations/</c>, forward only, each in one transaction.</summary>
internal static class Migrator
{
    internal static void Apply(DbSession session, TimeProvider time)
    {
        session.Execute("CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL, "
            + "applied_at INTEGER NOT NULL)");
        var applied = session.List("SELECT name, sha256 FROM schema_migrations ORDER BY name",
            static row => (Name: row.GetString(0), Sha256: row.GetString(1)));
        var known = Scripts().ToList();
        if (applied.FirstOrDefault(row => known.All(script => script.Name != row.Name)) is { Name: not null } newer)
        {
            throw new StorageException(StorageFault.Unavailable,
                $"The data folder was written by a newer Reeve (it has {newer.Name}); start that version instead.");
        }

        foreach (var (name, sql) in known)
        {
            var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(sql)));
            if (applied.FirstOrDefault(row => row.Name == name) is { Name: not null } row)
            {
                if (row.Sha256 != hash)
                {
                    throw new StorageException(StorageFault.Unavailable,
                        $"The data folder was made with another text of {name}; its schema is not the one expected.");
                }

                continue;
            }

            session.BeginImmediate();
            try
            {
                Run(session.Connection, sql);
                session.Execute("INSERT INTO schema_migrations (name, sha256, applied_at) VALUES ($1, $2, $3)",
                    name, hash, time.GetUtcNow().ToUnixTimeMilliseconds());
                session.Commit();
            }
            catch
            {
                session.Rollback();
                throw;
            }
        }
    }

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
