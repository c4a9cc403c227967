using Microsoft.Data.Sqlite;
using Reeve.Server.Receipts;
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

        using var signer = FindSigner(dataFolder, path);
        var verifier = new Verifier(signer is null ? null : new ReceiptVerifier(signer.PublicKey));
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
        if (signer is null)
        {
            await output.WriteLineAsync(
                "The signatures of receipts were not checked: the master key of this data is not here.");
        }

        return violations.Count == 0 ? 0 : 1;
    }

    /// <summary>Null: the key that the data was made with is not here.</summary>
    private static ReceiptSigner? FindSigner(string dataFolder, string path)
    {
        try
        {
            var master = MasterKey.Load(
                dataFolder, StartSecrets.FromEnvironment().MasterKey, dataExists: true);
            return Database.ReadOnce(path, master.Matches) ? new ReceiptSigner(master.Derive("receipts")) : null;
        }
        catch (Exception error) when (error is StartException or SqliteException)
        {
            return null;
        }
    }
}
