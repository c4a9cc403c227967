namespace Reeve.Server.Storage;

internal enum StorageFault
{
    /// <summary>No room on the disk.</summary>
    Full,

    /// <summary>The database cannot be written or read now (I/O error, locked, read-only).</summary>
    Unavailable,

    /// <summary>What is stored is not what was written; that does not pass by itself.</summary>
    Damaged,
}

/// <summary>The database failed; nothing of the work was kept.</summary>
internal sealed class StorageException(StorageFault fault, string message, Exception? inner = null)
    : Exception(message, inner)
{
    internal StorageFault Fault { get; } = fault;
}
