using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Reeve.Server.Audit;

/// <summary>
/// Something that changed trust: whose chain, its number there from 1, when, what, by which key (null: the server
/// itself), to what, and facts as JSON. Ids, words, numbers and hashes alone: content would have to be erased one day.
/// </summary>
internal sealed record AuditEntry(
    string AccountId, long Seq, long At, string Type, string? KeyId, string Subject, string Detail)
{
    private const int HashLength = 32;
    private const int LengthLength = sizeof(int);

    /// <summary>What stands for the hash before the first entry.</summary>
    internal static readonly byte[] ChainStart = new byte[HashLength];

    /// <summary>
    /// Each text goes in after its length, a missing one with the length -1, so that no two entries are the same bytes.
    /// </summary>
    internal byte[] Hash(ReadOnlySpan<byte> previous)
    {
        ReadOnlySpan<string?> texts = [AccountId, Type, KeyId, Subject, Detail];
        var size = HashLength + (2 * sizeof(long));
        foreach (var text in texts)
        {
            size += LengthLength + Encoding.UTF8.GetMaxByteCount(text?.Length ?? 0);
        }

        var bytes = size <= 1_024 ? stackalloc byte[1_024] : new byte[size];
        previous[..Math.Min(previous.Length, HashLength)].CopyTo(bytes);
        BinaryPrimitives.WriteInt64BigEndian(bytes[HashLength..], Seq);
        BinaryPrimitives.WriteInt64BigEndian(bytes[(HashLength + sizeof(long))..], At);
        var length = HashLength + (2 * sizeof(long));
        foreach (var text in texts)
        {
            var written = text is null ? -1 : Encoding.UTF8.GetBytes(text, bytes[(length + LengthLength)..]);
            BinaryPrimitives.WriteInt32BigEndian(bytes[length..], written);
            length += LengthLength + Math.Max(written, 0);
        }

        return SHA256.HashData(bytes[..length]);
    }
}
