namespace Reeve.Server.Storage.Backups;

/// <summary>
/// The passphrase of encrypted backups. It comes from a file or the environment, never from an argument, which every
/// process of the machine could read.
/// </summary>
internal static class Passphrase
{
    internal const string Variable = "REEVE_BACKUP_PASSPHRASE";
    internal const int CharactersMin = 12;

    /// <summary>Null when neither is given. The file's last line break is not part of it.</summary>
    internal static string? Read(string? file, string? fromEnvironment)
    {
        if (file is null)
        {
            return string.IsNullOrEmpty(fromEnvironment) ? null : fromEnvironment;
        }

        try
        {
            var text = File.ReadAllText(file).TrimEnd('\r', '\n');
            return text.Length > 0 ? text : throw new BackupException($"The passphrase file {file} is empty.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new BackupException($"The passphrase file {file} cannot be read: {error.Message}", error);
        }
    }

    internal static void RequireStrong(string? passphrase)
    {
        if (passphrase?.Length < CharactersMin)
        {
            throw new BackupException($"The passphrase must have at least {CharactersMin} characters.");
        }
    }
}
