using System.Globalization;
using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Receipts.Keys;

namespace Reeve.Server.Receipts.Attestation;

/// <summary>What a check of an attestation says; <c>Reason</c> is null when all of it holds.</summary>
internal sealed record AttestationVerdict(bool Signature, bool Measurement, bool Fresh, string? Reason);

/// <summary>
/// Makes and checks attestations (wire-mesh 6.3): the server states which program it is. <c>software</c> is the level
/// of a statement that no hardware backs.
/// </summary>
internal sealed class Attestations(KeyRing keys, TimeProvider time)
{
    internal const string Level = "software";
    internal const int NonceCharactersMax = 128;
    internal const string NotAsExpected = "measurement_mismatch";
    internal const string Expired = "expired";
    private static readonly TimeSpan Life = TimeSpan.FromHours(1);
    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(1);

    private readonly Lazy<Measurement> _measurement = new(static () => Measurement.Of(AppContext.BaseDirectory));

    /// <summary>A new document as JSON, with the nonce of whoever asks.</summary>
    internal byte[] Issue(string? nonce)
    {
        var now = time.GetUtcNow();
        var measured = _measurement.Value;
        return SignedJson.Sign(keys.Signer, writer =>
        {
            writer.WriteString("level"u8, Level);
            writer.WriteString("runtime_measurement"u8, measured.Runtime);
            writer.WriteString("expected_measurement"u8, measured.Expected);
            writer.WriteStartObject("build"u8);
            writer.WriteString("version"u8, ServerVersion.Number);
            writer.WriteString("commit"u8, ServerVersion.Commit);
            writer.WriteString("built_at"u8, measured.BuildTime);
            writer.WriteEndObject();
            writer.WriteString("release_key_id"u8, keys.Signer.KeyId);
            writer.WriteStartArray("anchors"u8);
            writer.WriteEndArray();
            writer.WriteString("nonce"u8, nonce);
            writer.WriteTime("issued_at"u8, now);
            writer.WriteTime("expires_at"u8, now + Life);
        });
    }

    /// <summary>
    /// Whether this server signed it, whether it says of itself what this server's build is expected to be, and whether
    /// it is still in force.
    /// </summary>
    internal AttestationVerdict Verify(JsonElement document)
    {
        if (document.Text("level") is null || document.Text("runtime_measurement") is not { } runtime
            || document.Text("expected_measurement") is not { } expected
            || TimeOf(document, "issued_at") is not { } issuedAt || TimeOf(document, "expires_at") is not { } expiresAt)
        {
            return new AttestationVerdict(false, false, false, ReceiptVerdict.Malformed);
        }

        var signature = keys.Verifier.VerifySignature(document).Reason;
        var isExpected = runtime == expected && expected == _measurement.Value.Expected;
        var now = time.GetUtcNow();
        var isFresh = issuedAt <= now + Skew && now < expiresAt;
        return new AttestationVerdict(signature is null, isExpected, isFresh,
            signature ?? (!isExpected ? NotAsExpected : !isFresh ? Expired : null));
    }

    private static DateTimeOffset? TimeOf(JsonElement document, string name) => DateTimeOffset.TryParseExact(
        document.Text(name), WireTimeConverter.Format, CultureInfo.InvariantCulture,
        DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time) ? time : null;
}
