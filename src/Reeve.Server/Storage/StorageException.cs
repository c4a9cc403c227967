using System.Security.Cryptography;
using System.Text.Json;

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
    /// <summary>What a caller is told of damage.</summary>
    internal const string DamagedMessage = "What is stored of this is damaged; the operator must look at it.";

    internal StorageFault Fault { get; } = fault;

    /// <summary>
    /// Whether an error of reading says that what is stored is not what was written, so that no other try helps.
    /// </summary>
    internal static bool SaysDamaged(Exception error) => error is StorageException { Fault: StorageFault.Damaged }
        or InvalidDataException or JsonException or ArgumentException or FormatException or InvalidCastException
        or CryptographicException
        or (InvalidOperationException and not ObjectDisposedException);
}
