using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Reeve.Server.Http;

namespace Reeve.Server.Receipts;

/// <summary>What a check of a signed document says; <c>Reason</c> is null when it is valid.</summary>
internal sealed record ReceiptVerdict(string? KeyId, string? Reason)
{
    internal const string BadSignature = "bad_signature";
    internal const string UnknownKey = "unknown_key";
    internal const string Malformed = "malformed";

    internal bool IsValid => Reason is null;
}

/// <summary>
/// Checks receipts, and what else is signed as they are, by the public keys alone (wire-mesh 6.2). The text is read
/// strictly, since two readers of lax JSON need not see the same receipt: no member twice, no half surrogate pairs, one
/// spelling of a signature.
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

    /// <summary>As for its text; a document that was signed for something else is no receipt.</summary>
    internal ReceiptVerdict Verify(JsonElement receipt) => Id.TryParse(Id.Receipt, TextOrNull(receipt, "id"), out _)
        ? VerifySignature(receipt)
        : new ReceiptVerdict(TextOrNull(receipt, "key_id"), ReceiptVerdict.Malformed);

    /// <summary>Checks the signature alone; what the document is, the caller sees to.</summary>
    internal ReceiptVerdict VerifySignature(JsonElement document)
    {
        if (TextOrNull(document, "key_id") is not { } keyId)
        {
            return new ReceiptVerdict(null, ReceiptVerdict.Malformed);
        }

        if (!_keys.TryGetValue(keyId, out var key))
        {
            return new ReceiptVerdict(keyId, ReceiptVerdict.UnknownKey);
        }

        var signature = new byte[SignatureAlgorithm.Ed25519.SignatureSize];
        if (!TryDecode(TextOrNull(document, "signature"), signature))
        {
            return new ReceiptVerdict(keyId, ReceiptVerdict.Malformed);
        }

        try
        {
            var isGood = SignatureAlgorithm.Ed25519.Verify(
                key, CanonicalJson.Serialize(document, "signature"), signature);
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

    // Half of a surrogate pair is no text; strict parsing has refused it where it could come from outside.
    private static string? TextOrNull(JsonElement document, string name)
    {
        try
        {
            return document.Text(name);
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }
}
