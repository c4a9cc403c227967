using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Reeve.Server.Storage;

/// <summary>
/// An account's key for what its confidential rows say. A value's name is its account, its column, the id of its row
/// and the version of the key, so that it opens nowhere else.
/// </summary>
/// <remarks>
/// A sealed value is the byte 1, the version of the key (4 bytes, big-endian) and <see cref="SealedBytes"/>. One key
/// serves 2^32 values before a repeated nonce is to be feared.
/// </remarks>
internal sealed class ContentKey
{
    internal const int Length = 32;
    private const byte Format = 1;
    private const int HeaderLength = 1 + sizeof(int);

    /// <summary>Begins a blinded term; no term of a text does.</summary>
    private const char BlindMark = '#';

    private readonly string _accountId;
    private readonly int _version;
    private readonly byte[] _key;
    private readonly byte[] _macKey;

    internal ContentKey(string accountId, int version, byte[] key)
    {
        (_accountId, _version, _key) = (accountId, version, key);
        _macKey = HKDF.Expand(HashAlgorithmName.SHA256, key, Length, "reeve/content-mac"u8.ToArray());
    }

    /// <summary>True for an encrypted value; nothing that lies open begins like one.</summary>
    internal static bool IsSealed(ReadOnlySpan<byte> stored) => stored.Length > 0 && stored[0] == Format;

    internal byte[] Seal(string column, string row, string text) => Seal(column, row, Encoding.UTF8.GetBytes(text));

    internal byte[] Seal(string column, string row, ReadOnlySpan<byte> content)
    {
        var header = new byte[HeaderLength];
        header[0] = Format;
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(1), _version);
        return [.. header, .. SealedBytes.Seal(_key, Name(column, row), content)];
    }

    /// <exception cref="CryptographicException">It was changed, or is of another place, account or key.</exception>
    internal byte[] Open(string column, string row, ReadOnlySpan<byte> value) =>
        value.Length >= HeaderLength && value[0] == Format
            && BinaryPrimitives.ReadInt32BigEndian(value[1..]) == _version
            ? SealedBytes.Open(_key, Name(column, row), value[HeaderLength..])
            : throw new CryptographicException("An encrypted value is not of this key.");

    /// <summary>
    /// What stands for a term in an index: the first 16 bytes of its HMAC-SHA-256. Whoever has the data and not the key
    /// sees which documents of one index share terms, and not the terms.
    /// </summary>
    internal string Blind(string index, string term)
    {
        var mac = HMACSHA256.HashData(_macKey, Encoding.UTF8.GetBytes($"term\n{index}\n{term}"));
        return BlindMark + Base64Url.EncodeToString(mac.AsSpan(0, 16));
    }

    internal static bool IsBlinded(string term) => term.StartsWith(BlindMark);

    /// <summary>What stands for the hash of a request, which would tell a short one to whoever guesses.</summary>
    internal byte[] Blind(ReadOnlySpan<byte> fingerprint) =>
        HMACSHA256.HashData(_macKey, (byte[])[.. "fingerprint\n"u8, .. fingerprint]);

    private string Name(string column, string row) =>
        $"reeve/content\n{_accountId}\n{column}\n{row}\n{_version}";
}
