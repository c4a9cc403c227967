using Microsoft.Data.Sqlite;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server;

/// <summary>What the command line does with a data folder, also beside a running server.</summary>
internal static class DataCommands
{
    private const int ShownMax = 100;

    /// <summary>Checks the invariants on one snapshot; 0: none is broken, 1: some are, each in a line.</summary>
    internal static async Task<int> VerifyAsync(string dataFolder, TextWriter output)
    {
        var path = DataFolder.DatabaseIn(dataFolder);
        if (!File.Exists(path))
        {
            throw new StartException($"There is no database in {dataFolder}; name the data folder with --data.");
        }

        var verifier = new Verifier();
        IReadOnlyList<Violation> violations;
        try
        {
            violations = Database.ReadOnce(path, verifier.Check);
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
        return violations.Count == 0 ? 0 : 1;
    }
}
