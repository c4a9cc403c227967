using Microsoft.Data.Sqlite;

namespace Reeve.Server.Storage;

/// <summary>The secrets that the environment may give; read once, kept out of the options, which are shown.</summary>
internal sealed record StartSecrets(string? MasterKey, string? AdminKey)
{
    internal static StartSecrets FromEnvironment() => new(
        Environment.GetEnvironmentVariable(Storage.MasterKey.Variable),
        Environment.GetEnvironmentVariable("REEVE_ADMIN_KEY"));
}

/// <summary>
/// What a feature needs to find in a data folder before the server works on it: part of every start, in a transaction.
/// </summary>
internal delegate void DataPreparation(DbSession session);

internal static class StorageSetup
{
    internal static void AddStorage(this IServiceCollection services)
    {
        services.AddSingleton(static provider =>
            DataFolder.Open(provider.GetRequiredService<ReeveOptions>().DataFolder));
        services.AddSingleton(static provider =>
        {
            var folder = provider.GetRequiredService<DataFolder>();
            return MasterKey.Load(folder.FolderPath, provider.GetRequiredService<StartSecrets>().MasterKey,
                dataExists: File.Exists(folder.DatabasePath));
        });
        services.AddSingleton(static provider => new Database(
            provider.GetRequiredService<DataFolder>().DatabasePath, provider.GetRequiredService<ILogger<Database>>(),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<Failpoints>(),
            keys: new ContentKeys(provider.GetRequiredService<MasterKey>())));
    }

    /// <summary>Locks the data folder, checks it, brings its schema up to date and starts the writer.</summary>
    internal static void OpenStorage(this WebApplication app)
    {
        var services = app.Services;
        var time = services.GetRequiredService<TimeProvider>();
        SelfCheck.Runtime(services.GetRequiredService<ILogger<Database>>());
        var folder = services.GetRequiredService<DataFolder>();
        var master = services.GetRequiredService<MasterKey>(); // Before the database, which would count as data.
        folder.CreateDatabase();
        try
        {
            var database = services.GetRequiredService<Database>();
            database.Prepare(master, services.GetRequiredService<IdGenerator>(), time,
                services.GetServices<DataPreparation>());
            database.Start();
        }
        catch (SqliteException error)
        {
            throw new StartException($"The database {folder.DatabasePath} cannot be used: {error.Message}", error);
        }
    }

    /// <summary>Brings the schema up to date and checks that engine, key and data are fit to work with.</summary>
    internal static void Prepare(this Database database, MasterKey master, IdGenerator ids, TimeProvider time,
        IEnumerable<DataPreparation> preparations)
    {
        SelfCheck.Engine(database.Setup);
        Migrator.Apply(database.Setup, time);
        master.Confirm(database.Setup);
        SelfCheck.Data(database.Setup, time);
        foreach (var id in SelfCheck.NewestIds(database.Setup))
        {
            ids.StartAfter(id);
        }

        database.Setup.BeginImmediate();
        try
        {
            database.Setup.Keys?.CreateMissing(database.Setup, time.GetUtcNow());
            foreach (var prepare in preparations)
            {
                prepare(database.Setup);
            }

            database.Setup.Commit();
        }
        catch
        {
            database.Setup.Rollback();
            throw;
        }
    }
}
