using System.Buffers;
using System.Text;
using System.Text.Json;
using Reeve.Server.Http;

namespace Reeve.Server.Receipts;

/// <summary>
/// Documents that are signed as receipts are: Ed25519 over the canonical JSON of all members but <c>signature</c>,
/// which comes last, after <c>key_id</c>.
/// </summary>
internal static class SignedJson
{
    /// <summary>The document of these members; <paramref name="members"/> writes them, without the last two.</summary>
    internal static byte[] Sign(ReceiptSigner signer, Action<Utf8JsonWriter> members)
    {
        var unsigned = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(unsigned, ApiJson.Writer))
        {
            writer.WriteStartObject();
            members(writer);
            writer.WriteString("key_id"u8, signer.KeyId);
            writer.WriteEndObject();
        }

        var signature = signer.Signature(CanonicalJson.Serialize(JsonElement.Parse(unsigned.WrittenSpan)));
        return [.. unsigned.WrittenSpan[..^1], .. Encoding.ASCII.GetBytes($",\"signature\":\"{signature}\"}}")];
    }

    internal static string? Text(this JsonElement document, string name) =>
        document.ValueKind == JsonValueKind.Object && document.TryGetProperty(name, out var member)
            && member.ValueKind == JsonValueKind.String ? member.GetString() : null;
}
