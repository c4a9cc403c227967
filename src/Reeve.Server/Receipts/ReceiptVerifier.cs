using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Reeve.Server.Http;

namespace Reeve.Server.Receipts;

/// <summary>What a check of a receipt says; <c>Reason</c> is null when it is valid.</summary>
internal sealed record ReceiptVerdict(string? KeyId, string? Reason)
{
    internal const string BadSignature = "bad_signature";
    internal const string UnknownKey = "unknown_key";
    internal const string Malformed = "malformed";

    internal bool IsValid => Reason is null;
}

/// <summary>
/// Checks receipts by the public keys alone (wire-mesh 6.2). The text is read strictly, since two readers of lax JSON
/// need not see the same receipt: no member twice, no half surrogate pairs, one spelling of a signature.
/// </summary>
internal sealed class ReceiptVerifier
{
    private readonly Dictionary<string, PublicKey> _keys = new(StringComparer.Ordinal);

    internal ReceiptVerifier(params ReadOnlySpan<byte[]> publicKeys)
    {
        foreach (var key in publicKeys)
        {
            _keys[KeyIdOf(key)] = PublicKey.Import(SignatureAlgorithm.Ed25519, key, KeyBlobFormat.RawPublicKey);
        }
    }

    /// <summary>The first 16 hex digits of SHA-256 of the raw public key.</summary>
    internal static string KeyIdOf(ReadOnlySpan<byte> publicKey) =>
        Convert.ToHexStringLower(SHA256.HashData(publicKey).AsSpan(0, 8));

    internal ReceiptVerdict Verify(ReadOnlyMemory<byte> receipt)
    {
        JsonDocument document;
        try
        {
            document = RequestBody.Parse(receipt);
        }
        catch (ApiException)
        {
            return new ReceiptVerdict(null, ReceiptVerdict.Malformed);
        }

        using (document)
        {
            return Verify(document.RootElement);
        }
    }

    private ReceiptVerdict Verify(JsonElement receipt)
    {
        if (Text(receipt, "key_id") is not { } keyId)
        {
            return new ReceiptVerdict(null, ReceiptVerdict.Malformed);
        }

        if (!_keys.TryGetValue(keyId, out var key))
        {
            return new ReceiptVerdict(keyId, ReceiptVerdict.UnknownKey);
        }

        var signature = new byte[SignatureAlgorithm.Ed25519.SignatureSize];
        if (!TryDecode(Text(receipt, "signature"), signature))
        {
            return new ReceiptVerdict(keyId, ReceiptVerdict.Malformed);
        }

        try
        {
            var isGood = SignatureAlgorithm.Ed25519.Verify(
                key, CanonicalJson.Serialize(receipt, "signature"), signature);
            return new ReceiptVerdict(keyId, isGood ? null : ReceiptVerdict.BadSignature);
        }
        catch (FormatException)
        {
            return new ReceiptVerdict(keyId, ReceiptVerdict.Malformed);
        }
    }

    /// <summary>
    /// The last of the 86 characters has 4 bits to spare and decoders pass over white space, so only the text that
    /// these bytes are written as will do.
    /// </summary>
    private static bool TryDecode(string? text, byte[] signature)
    {
        Span<byte> written = stackalloc byte[Base64Url.GetEncodedLength(signature.Length)];
        return text?.Length == written.Length && Ascii.IsValid(text)
            && Base64Url.DecodeFromChars(text, signature, out _, out var length) == OperationStatus.Done
            && length == signature.Length
            && Base64Url.EncodeToUtf8(signature, written) == written.Length
            && Ascii.Equals(written, text);
    }

    private static string? Text(JsonElement receipt, string name) =>
        receipt.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String
            ? member.GetString()
            : null;
}
