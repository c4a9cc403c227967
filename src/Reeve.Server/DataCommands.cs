using Microsoft.Data.Sqlite;
using Reeve.Server.Receipts.Checkpoints;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server;

/// <summary>What the command line does with a data folder, also beside a running server.</summary>
internal static class DataCommands
{
    private const int ShownMax = 100;

    /// <summary>
    /// Checks the invariants on one snapshot; 0: none is broken, 1: some are, each in a line. What a file of
    /// checkpoints has, a line each, must be in the data.
    /// </summary>
    internal static async Task<int> VerifyAsync(string dataFolder, TextWriter output, string? checkpointsFile = null)
    {
        var path = FindDatabase(dataFolder);
        var held = checkpointsFile is null
            ? []
            : (await File.ReadAllLinesAsync(checkpointsFile)).Where(static line => line.Length > 0).ToList();
        var master = FindMaster(dataFolder, path);
        var verifier = new Verifier(master, held);
        IReadOnlyList<Violation> violations;
        try
        {
            violations = Database.ReadOnce(path, verifier.Check);
        }
        catch (Exception error) when (error is FormatException or InvalidCastException or OverflowException)
        {
            throw new StartException($"The database {path} has a row that cannot be read: {error.Message}", error);
        }
        catch (SqliteException error)
        {
            throw new StartException($"The database {path} cannot be read: {error.Message}.", error);
        }

        foreach (var violation in violations.Take(ShownMax))
        {
            await output.WriteLineAsync($"{violation.Invariant} {violation.Subject}: {violation.Problem}");
        }

        var (runs, events, entries) = verifier.Counts;
        await output.WriteLineAsync(
            $"{violations.Count} violations in {runs} runs, {events} events and {entries} ledger entries");
        if (master is null)
        {
            await output.WriteLineAsync(
                "The signatures of receipts were not checked: the master key of this data is not here.");
            if (verifier.SealedEvents > 0)
            {
                await output.WriteLineAsync(
                    $"Of {verifier.SealedEvents} encrypted events only the hashes were checked, for the same reason.");
            }
        }

        return violations.Count == 0 ? 0 : 1;
    }

    /// <summary>Writes the signed checkpoints of the audit, a line each, for somebody to keep elsewhere.</summary>
    internal static async Task<int> WriteCheckpointsAsync(string dataFolder, string? accountId, TextWriter output)
    {
        var path = FindDatabase(dataFolder);
        try
        {
            foreach (var (_, _, document) in Database.ReadOnce(
                path, session => CheckpointStore.List(session, accountId)))
            {
                await output.WriteLineAsync(document);
            }

            return 0;
        }
        catch (SqliteException error)
        {
            throw new StartException($"The database {path} cannot be read: {error.Message}.", error);
        }
    }

    /// <summary>The database of a data folder, which must be there.</summary>
    internal static string FindDatabase(string dataFolder)
    {
        var path = DataFolder.DatabaseIn(dataFolder);
        return File.Exists(path)
            ? path
            : throw new StartException($"There is no database in {dataFolder}; name the data folder with --data.");
    }

    /// <summary>Null: the key that the data was made with is not here.</summary>
    private static MasterKey? FindMaster(string dataFolder, string path)
    {
        try
        {
            var master = MasterKey.Load(
                dataFolder, StartSecrets.FromEnvironment().MasterKey, dataExists: true);
            return Database.ReadOnce(path, master.Matches) ? master : null;
        }
        catch (Exception error) when (error is StartException or SqliteException)
        {
            return null;
        }
    }
}
