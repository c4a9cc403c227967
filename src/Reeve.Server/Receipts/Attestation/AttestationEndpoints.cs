using System.Text.Json.Nodes;
using Reeve.Server.Http;

namespace Reeve.Server.Receipts.Attestation;

/// <summary>What the server says of itself, and the check of it (wire-mesh 6.3).</summary>
internal static class AttestationEndpoints
{
    internal static readonly OpenApiSchemas Schemas = new(
        ("Attestation", Schema.Record(
            ("level", Schema.Const(Attestations.Level)
                .About("The server states its own digest; no hardware backs it.")),
            ("runtime_measurement", Digest()),
            ("expected_measurement", Digest().About("Of the build; equal when it left no manifest.")),
            ("build", Schema.Record(
                ("version", Schema.Text(1)), ("commit", Schema.Text().OrNull()), ("built_at", Schema.Time().OrNull()))),
            ("release_key_id", KeyId()),
            ("anchors", Schema.List(Schema.Text(), max: 0)),
            ("nonce", Schema.Text(max: Attestations.NonceCharactersMax).OrNull()),
            ("issued_at", Schema.Time()),
            ("expires_at", Schema.Time()),
            ("key_id", KeyId()),
            ("signature", Schema.Text(pattern: "^[A-Za-z0-9_-]{86}$").About("As that of a receipt.")))),
        ("AttestationToVerify", Schema.Free().About("The document itself, or {\"document\":{...}}.")),
        ("AttestationVerdict", Schema.Record(
            ("valid", Schema.Flag()),
            ("checks", Schema.Record(
                ("signature", Schema.Flag()), ("measurement", Schema.Flag()), ("fresh", Schema.Flag()))),
            ("reason", Schema.Word(ReceiptVerdict.BadSignature, ReceiptVerdict.UnknownKey, ReceiptVerdict.Malformed,
                Attestations.NotAsExpected, Attestations.Expired).OrNull()))));

    internal static void MapAttestation(this IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/attestation", Issue).AnyKey().WithTags("Receipts")
            .WithName("getAttestation").WithSummary("States, signed, which program the server is.")
            .Query("nonce", "Comes back in the document.", static () => Schema.Text(1, Attestations.NonceCharactersMax))
            .Answers(200, "Attestation", "The document, good for an hour.");
        app.MapPost("/v1/attestation/verify", VerifyAsync).AnyKey().WithTags("Receipts")
            .WithName("verifyAttestation").WithSummary("Checks an attestation of this server.")
            .Takes("AttestationToVerify").Answers(200, "AttestationVerdict", "What of it holds.");
    }

    private static Task Issue(HttpContext context, Attestations attestations)
    {
        var nonce = new RequestQuery(context, "nonce").Text("nonce");
        if (nonce is not null && RequestObject.ScalarCount(nonce) > Attestations.NonceCharactersMax)
        {
            throw ApiException.Invalid(
                $"nonce must have 1 to {Attestations.NonceCharactersMax} characters.", "nonce");
        }

        return ApiJson.WriteAsync(context, StatusCodes.Status200OK, attestations.Issue(nonce));
    }

    private static async Task VerifyAsync(HttpContext context, Attestations attestations, ReeveOptions options)
    {
        _ = new RequestQuery(context);
        using var body = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var verdict = attestations.Verify(ReceiptEndpoints.Wrapped(body.RootElement, "document"));
        await ApiJsonBody.WriteAsync(context, StatusCodes.Status200OK, verdict, static (writer, shown) =>
        {
            writer.WriteStartObject();
            writer.WriteBoolean("valid"u8, shown.Reason is null);
            writer.WriteStartObject("checks"u8);
            writer.WriteBoolean("signature"u8, shown.Signature);
            writer.WriteBoolean("measurement"u8, shown.Measurement);
            writer.WriteBoolean("fresh"u8, shown.Fresh);
            writer.WriteEndObject();
            writer.WriteString("reason"u8, shown.Reason);
            writer.WriteEndObject();
        });
    }

    private static JsonObject Digest() => Schema.Text(pattern: "^sha256:[0-9a-f]{64}$");

    private static JsonObject KeyId() => Schema.Text(pattern: "^[0-9a-f]{16}$");
}
