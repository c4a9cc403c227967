using System.Globalization;
using Reeve.Server.Storage;
using Reeve.Server.Storage.Backups;

namespace Reeve.Server;

/// <summary><c>reeve backup</c> and <c>reeve restore</c>.</summary>
internal static class BackupCommands
{
    /// <summary>Makes a backup, also beside a running server; answers the exit status.</summary>
    internal static async Task<int> BackupAsync(
        BackupOrder order, TextWriter output, CancellationToken cancellationToken)
    {
        order = order with { MasterKeyFromEnvironment = StartSecrets.FromEnvironment().MasterKey };
        var made = new BackupWriter(TimeProvider.System, ServerVersion.Number).Write(order, cancellationToken);
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"{order.OutFile}: {made.Bytes:N0} bytes, {(order.Passphrase is null ? "not encrypted" : "encrypted")}, "
            + $"{(made.HasKeys ? "with" : "without")} {MasterKey.FileName}"));
        if (!made.HasKeys)
        {
            await output.WriteLineAsync(string.IsNullOrEmpty(order.MasterKeyFromEnvironment)
                ? $"Keep {MasterKey.FileName} elsewhere: without it the backup cannot be used."
                : $"Keep what {MasterKey.Variable} holds elsewhere: without it the backup cannot be used.");
        }
        else if (order.Passphrase is null)
        {
            await output.WriteLineAsync("Whoever reads this file has the data and can sign receipts in your name.");
        }

        return 0;
    }

    /// <summary>
    /// Takes a backup back into a folder that is empty or not there, and verifies it; answers the exit status.
    /// </summary>
    internal static async Task<int> RestoreAsync(
        string file, string dataFolder, string? passphrase, TextWriter output, CancellationToken cancellationToken)
    {
        using var folder = RestoreFolder.For(dataFolder);
        var manifest = BackupReader.Unpack(file, passphrase, folder.FolderPath, cancellationToken);
        var keyNote = KeyNote(folder.FolderPath);
        var found = new StringWriter();
        var status = await DataCommands.VerifyAsync(folder.FolderPath, found);
        folder.Complete();
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"{dataFolder} is as it was on {manifest.MadeAt:yyyy-MM-dd HH:mm:ss} UTC, "
            + $"by Reeve {manifest.ReeveVersion}"));
        if (keyNote is not null)
        {
            await output.WriteLineAsync(keyNote);
        }

        await output.WriteAsync(found.ToString());
        return status;
    }

    private static string? KeyNote(string folder)
    {
        var fromEnvironment = StartSecrets.FromEnvironment().MasterKey;
        if (string.IsNullOrEmpty(fromEnvironment) && !File.Exists(Path.Combine(folder, MasterKey.FileName)))
        {
            return $"Put {MasterKey.FileName} beside it, or set {MasterKey.Variable}, before you start the server: the "
                + "backup has no key.";
        }

        var key = MasterKey.Load(folder, fromEnvironment, dataExists: true);
        return DatabaseCopy.Read(DataFolder.DatabaseIn(folder), key.Matches)
            ? null
            : $"{MasterKey.Variable} is not the key of this data; set the right one before you start the server.";
    }
}
