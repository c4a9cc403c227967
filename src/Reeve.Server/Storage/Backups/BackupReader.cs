using Microsoft.Data.Sqlite;

namespace Reeve.Server.Storage.Backups;

/// <summary>Takes a backup apart into an empty folder.</summary>
internal static class BackupReader
{
    /// <summary>
    /// Writes the parts into <paramref name="folder"/>. Only when this returns is what lies there what was backed up;
    /// after an exception it is to be thrown away.
    /// </summary>
    /// <exception cref="BackupException">
    /// It is no backup, not whole, not as it was written, of a newer Reeve, or encrypted with another passphrase.
    /// </exception>
    internal static BackupManifest Unpack(
        string file, string? passphrase, string folder, CancellationToken cancellationToken)
    {
        try
        {
            using var input = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read);
            using var opening = Open(input, passphrase, file);
            return Unpack(new BackupArchiveReader((Stream?)opening ?? input, file), file, folder, cancellationToken);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new BackupException($"The backup could not be restored: {error.Message}", error);
        }
    }

    private static OpeningStream? Open(FileStream input, string? passphrase, string file)
    {
        var head = new byte[BackupSeal.HeadLength];
        var read = input.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        if (!BackupSeal.IsHead(head))
        {
            input.Position = 0;
            return IsArchive(input) ? null : throw new BackupException($"{file} is not a backup made by reeve.");
        }

        if (read < head.Length)
        {
            throw new BackupException($"{file} is cut off: its end is missing, so it cannot be used.");
        }

        if (passphrase is null)
        {
            throw new BackupException(
                $"{file} is encrypted: give its passphrase with --passphrase-file or {Passphrase.Variable}.");
        }

        return BackupSeal.Open(passphrase, head) is { } seal
            ? new OpeningStream(input, seal, file)
            : throw new BackupException($"The passphrase is not the one of {file}, or the file's head was changed.");
    }

    private static bool IsArchive(FileStream input)
    {
        var block = new byte[TarBlock.Length];
        input.ReadAtLeast(block, block.Length, throwOnEndOfStream: false);
        input.Position = 0;
        return TarBlock.Read(block)?.Name == BackupArchive.Manifest;
    }

    private static BackupManifest Unpack(
        BackupArchiveReader archive, string file, string folder, CancellationToken cancellationToken)
    {
        var manifest = archive.Next() == BackupArchive.Manifest
            ? BackupManifest.Read(archive.Read(BackupManifest.BytesMax), file) ?? throw archive.Changed()
            : throw archive.Changed();
        if (Migrator.Newer(manifest.Schema) is { } newer)
        {
            throw new BackupException(
                $"{file} was made by a newer Reeve ({manifest.ReeveVersion}; its schema has {newer}); restore it with "
                + "that version.");
        }

        var expected = new List<string> { DataFolder.DatabaseName, MasterKey.FileName };
        while (archive.Next() != BackupArchive.Sums)
        {
            // No other name is ever written to, whatever the file says.
            var name = archive.Next();
            if (!expected.Remove(name))
            {
                throw archive.Changed();
            }

            Write(Path.Combine(folder, name), archive, cancellationToken);
        }

        archive.Finish();
        RequireDatabase(Path.Combine(folder, DataFolder.DatabaseName), file);
        return manifest;
    }

    private static void Write(string path, BackupArchiveReader archive, CancellationToken cancellationToken)
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            BufferSize = BackupArchive.BufferBytes,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using var output = new FileStream(path, options);
        archive.CopyTo(output, cancellationToken);
    }

    private static void RequireDatabase(string path, string file)
    {
        try
        {
            if (!File.Exists(path))
            {
                throw new BackupException($"{file} holds no database.");
            }

            DatabaseCopy.Read(path, static session =>
            {
                Migrator.RequireKnown(session);
                return true;
            });
        }
        catch (Exception error) when (error is SqliteException or StorageException)
        {
            throw new BackupException($"The database in {file} cannot be used: {error.Message}", error);
        }
    }
}
