namespace Reeve.Server.Storage.Backups;

/// <summary>
/// A backup cannot be made or taken back; the message is the one sentence that the operator reads.
/// </summary>
internal sealed class BackupException(string message, Exception? inner = null) : Exception(message, inner);
