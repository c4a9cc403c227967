using System.Buffers.Text;
using System.Text.Json;
using Reeve.Server.Http;

namespace Reeve.Server.Receipts.Keys;

/// <summary>The public keys, for whoever checks receipts or seals prompts (wire-mesh 6.2).</summary>
internal static class KeyEndpoints
{
    internal static readonly OpenApiSchemas Schemas = new(
        ("PublicKeys", Schema.Record(("keys", Schema.List(Schema.Ref("PublicKey"))))),
        ("PublicKey", Schema.Record(
            ("kid", Schema.Text(pattern: "^[0-9a-f]{16}$")
                .About("The first 16 hex digits of SHA-256 of the raw public key.")),
            ("kty", Schema.Const("OKP")),
            ("crv", Schema.Word("Ed25519", "X25519")),
            ("x", Schema.Text(pattern: "^[A-Za-z0-9_-]{43}$").About("The raw public key, base64url, no padding.")),
            ("use", Schema.Word(KeyUses.Sign, KeyUses.Encrypt)),
            ("status", Schema.Word("active", "retired")),
            ("created_at", Schema.Time()))));

    internal static void MapKeys(this IEndpointRouteBuilder app) =>
        app.MapGet("/.well-known/reeve-keys.json", Show).Public().WithTags("Receipts")
            .WithName("getPublicKeys")
            .WithSummary("Lists the server's public keys: those that sign or signed, and those to seal prompts to.")
            .Answers(200, "PublicKeys", "The keys, retired ones too.");

    private static Task Show(HttpContext context, KeyRing ring)
    {
        _ = new RequestQuery(context);
        context.Response.Headers.CacheControl = "public, max-age=300";
        return ApiJsonBody.WriteAsync(context, StatusCodes.Status200OK, ring.Keys, Write);
    }

    private static void Write(Utf8JsonWriter writer, IReadOnlyList<SigningKey> keys)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("keys"u8);
        foreach (var key in keys)
        {
            writer.WriteStartObject();
            writer.WriteString("kid"u8, key.Kid);
            writer.WriteString("kty"u8, "OKP"u8);
            writer.WriteString("crv"u8, key.Use == KeyUses.Sign ? "Ed25519"u8 : "X25519"u8);
            writer.WriteString("x"u8, Base64Url.EncodeToString(key.PublicKey));
            writer.WriteString("use"u8, key.Use);
            writer.WriteString("status"u8, key.IsActive ? "active"u8 : "retired"u8);
            writer.WriteTime("created_at"u8, key.CreatedAt);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
