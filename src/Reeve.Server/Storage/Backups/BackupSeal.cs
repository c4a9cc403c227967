using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;

namespace Reeve.Server.Storage.Backups;

/// <summary>The head of an encrypted backup, and the key that it gives together with the passphrase.</summary>
/// <remarks>
/// <code>
/// head    magic (16) | Argon2id memory in KiB (4) | passes (4) | salt (16) | check (32)     integers big-endian
/// root    Argon2id(passphrase, salt), one lane, 32 bytes
/// check   HMAC-SHA-256 over the 40 bytes before it, under HKDF-SHA-256(root, "reeve backup head")
/// chunks  AES-256-GCM under HKDF-SHA-256(root, "reeve backup chunks"): see SealingStream
/// </code>
/// The salt is new for each backup, so each has keys of its own and the counters can be the nonces.
/// </remarks>
internal sealed class BackupSeal
{
    internal const int HeadLength = 72;
    internal const int SaltLength = 16;

    private const int MemoryAt = 16;
    private const int PassesAt = 20;
    private const int SaltAt = 24;
    private const int CheckAt = 40;
    private const int KeyLength = 32;

    /// <summary>A file must not make the reader work for an hour or take the memory of the machine.</summary>
    private const int MemoryKibibytesMax = 1 << 20;
    private const int PassesMax = 16;

    private BackupSeal(byte[] head, byte[] key)
    {
        Head = head;
        Key = key;
    }

    internal byte[] Head { get; }

    /// <summary>For AES-256-GCM.</summary>
    internal byte[] Key { get; }

    private static ReadOnlySpan<byte> Magic => "reeve-sealed-1\r\n"u8;

    /// <summary>For a new backup. The strength is libsodium's "moderate": 256 MiB and 3 passes.</summary>
    internal static BackupSeal Make(
        string passphrase, ReadOnlySpan<byte> salt, int memoryKibibytes = 1 << 18, int passes = 3)
    {
        var head = new byte[HeadLength];
        Magic.CopyTo(head);
        BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(MemoryAt), memoryKibibytes);
        BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(PassesAt), passes);
        salt.CopyTo(head.AsSpan(SaltAt, SaltLength));
        var root = Derive(passphrase, head);
        Check(root, head).CopyTo(head.AsSpan(CheckAt));
        return new BackupSeal(head, Expand(root, "reeve backup chunks"));
    }

    /// <summary>Whether a file that begins so is an encrypted backup.</summary>
    internal static bool IsHead(ReadOnlySpan<byte> start) => start.StartsWith(Magic);

    /// <summary>For a backup that is there; null when the passphrase is not its own or the head was changed.</summary>
    internal static BackupSeal? Open(string passphrase, byte[] head)
    {
        var memory = BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(MemoryAt));
        var passes = BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(PassesAt));
        if (memory is < 8 or > MemoryKibibytesMax || passes is < 1 or > PassesMax)
        {
            return null;
        }

        var root = Derive(passphrase, head);
        return CryptographicOperations.FixedTimeEquals(Check(root, head), head.AsSpan(CheckAt))
            ? new BackupSeal(head, Expand(root, "reeve backup chunks"))
            : null;
    }

    private static byte[] Derive(string passphrase, byte[] head)
    {
        var parameters = new Argon2Parameters
        {
            DegreeOfParallelism = 1,
            MemorySize = BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(MemoryAt)),
            NumberOfPasses = BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(PassesAt)),
        };
        return PasswordBasedKeyDerivationAlgorithm.Argon2id(in parameters)
            .DeriveBytes(Encoding.UTF8.GetBytes(passphrase), head.AsSpan(SaltAt, SaltLength), KeyLength);
    }

    private static byte[] Check(byte[] root, byte[] head) =>
        HMACSHA256.HashData(Expand(root, "reeve backup head"), head.AsSpan(0, CheckAt));

    private static byte[] Expand(byte[] root, string purpose) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, root, KeyLength, salt: [], Encoding.ASCII.GetBytes(purpose));
}
