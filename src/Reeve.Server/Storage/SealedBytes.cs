using System.Security.Cryptography;
using System.Text;

namespace Reeve.Server.Storage;

/// <summary>
/// AES-256-GCM (NIST SP 800-38D) as this server keeps it: a random nonce (12 bytes), the ciphertext, the tag (16). The
/// name says what it is and whose, and is part of what the tag covers.
/// </summary>
internal static class SealedBytes
{
    internal const int Overhead = NonceLength + TagLength;
    private const int NonceLength = 12;
    private const int TagLength = 16;

    internal static byte[] Seal(byte[] key, string name, ReadOnlySpan<byte> content)
    {
        var box = new byte[content.Length + Overhead];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceLength));
        using var aes = new AesGcm(key, TagLength);
        aes.Encrypt(box.AsSpan(0, NonceLength), content, box.AsSpan(NonceLength, content.Length),
            box.AsSpan(NonceLength + content.Length), Encoding.UTF8.GetBytes(name));
        return box;
    }

    /// <exception cref="CryptographicException">It was changed, or has another name or key.</exception>
    internal static byte[] Open(byte[] key, string name, ReadOnlySpan<byte> box)
    {
        if (box.Length < Overhead)
        {
            throw new CryptographicException("An encrypted value is too short to be one.");
        }

        var content = new byte[box.Length - Overhead];
        using var aes = new AesGcm(key, TagLength);
        aes.Decrypt(box[..NonceLength], box.Slice(NonceLength, content.Length), box[^TagLength..], content,
            Encoding.UTF8.GetBytes(name));
        return content;
    }
}
