using System.Security.Cryptography;
using Microsoft.Data.Sqlite;

namespace Reeve.Server.Storage.Backups;

/// <summary>What goes into a backup, and where it goes.</summary>
internal sealed record BackupOrder(string DataFolder, string OutFile)
{
    /// <summary>Also without encryption; with it the keys are always in.</summary>
    internal bool WithKeys { get; init; }

    /// <summary>Null: not encrypted.</summary>
    internal string? Passphrase { get; init; }

    /// <summary>The master key of the environment, which stays there; null when it is in the data folder.</summary>
    internal string? MasterKeyFromEnvironment { get; init; }
}

/// <summary>What a backup came to.</summary>
internal sealed record BackupMade(long Bytes, bool HasKeys);

/// <summary>Makes a backup of a data folder, also of one that a server runs on.</summary>
/// <remarks>
/// <code>
/// copy     one snapshot of the database into backup.tmp of the data folder, where its content is anyway
/// check    the copy is sound, and the key that goes along is its key
/// archive  manifest, database, key, sums; through the cipher when there is a passphrase; into FILE.partial
/// name     flushed, renamed to FILE, the folder flushed. A kill at any moment leaves no FILE
/// </code>
/// </remarks>
internal sealed class BackupWriter(TimeProvider time, string reeveVersion)
{
    internal const string CopyName = "backup.tmp";

    /// <exception cref="BackupException">It could not be made; nothing was left.</exception>
    internal BackupMade Write(BackupOrder order, CancellationToken cancellationToken)
    {
        Passphrase.RequireStrong(order.Passphrase);
        var database = DataFolder.DatabaseIn(order.DataFolder);
        if (!File.Exists(database))
        {
            throw new BackupException(
                $"There is no database in {order.DataFolder}; name the data folder with --data.");
        }

        try
        {
            using var file = PartialFile.For(order.OutFile);
            using var copy = PartialFile.Temporary(Path.Combine(order.DataFolder, CopyName));
            var madeAt = time.GetUtcNow();
            DatabaseCopy.Make(database, copy, cancellationToken);
            var key = ReadKey(order);
            var manifest = Inspect(copy.FilePath, key, order, madeAt);
            copy.Stream.Position = 0;
            Write(file.Stream, order.Passphrase, manifest, copy.Stream, key, cancellationToken);
            file.Stream.Flush();
            var made = new BackupMade(file.Stream.Length, key is not null);
            file.Complete();
            return made;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or SqliteException)
        {
            throw new BackupException($"The backup could not be made: {error.Message}", error);
        }
    }

    private static void Write(
        Stream file, string? passphrase, BackupManifest manifest, Stream database, byte[]? key,
        CancellationToken cancellationToken)
    {
        using var sealing = passphrase is null ? null : Seal(file, passphrase);
        var archive = new BackupArchiveWriter((Stream?)sealing ?? file, manifest.MadeAt);
        archive.Add(BackupArchive.Manifest, manifest.Write());
        archive.Add(DataFolder.DatabaseName, database, cancellationToken);
        if (key is not null)
        {
            archive.Add(MasterKey.FileName, key);
        }

        archive.Finish();
        sealing?.Finish();
    }

    private static SealingStream Seal(Stream file, string passphrase)
    {
        var seal = BackupSeal.Make(passphrase, RandomNumberGenerator.GetBytes(BackupSeal.SaltLength));
        file.Write(seal.Head);
        return new SealingStream(file, seal);
    }

    private static byte[]? ReadKey(BackupOrder order)
    {
        var path = Path.Combine(order.DataFolder, MasterKey.FileName);
        var isWanted = (order.WithKeys || order.Passphrase is not null)
            && string.IsNullOrEmpty(order.MasterKeyFromEnvironment);
        return !isWanted ? null
            : File.Exists(path) ? File.ReadAllBytes(path)
            : throw new BackupException(
                $"The data folder has no {MasterKey.FileName} to back up; put it back or set {MasterKey.Variable}.");
    }

    private BackupManifest Inspect(string copy, byte[]? key, BackupOrder order, DateTimeOffset madeAt) =>
        DatabaseCopy.Read(copy, session =>
        {
            var damage = session.Single("PRAGMA quick_check(1)", static row => row.GetString(0));
            if (damage != "ok")
            {
                throw new BackupException(
                    $"The database is damaged, and so would be its backup: {damage}. Go back to the newest backup that "
                    + "restores; `reeve doctor` says more.");
            }

            if (key is not null && !MasterKey.Parse(key).Matches(session))
            {
                throw new BackupException(
                    $"{MasterKey.FileName} is not the key of this data; put the right one back, or the backup could "
                    + "not be used.");
            }

            // It stays out, and the operator is told to keep it: that must be the right one, too.
            if (!string.IsNullOrEmpty(order.MasterKeyFromEnvironment) && !MasterKey.Load(
                order.DataFolder, order.MasterKeyFromEnvironment, dataExists: true).Matches(session))
            {
                throw new BackupException(
                    $"{MasterKey.Variable} is not the key of this data; unset it or set the right one.");
            }

            return new BackupManifest
            {
                ReeveVersion = reeveVersion,
                Schema = Migrator.Applied(session),
                MadeAt = madeAt,
            };
        });
}
