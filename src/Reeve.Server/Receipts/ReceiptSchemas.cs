using System.Text.Json.Nodes;
using Reeve.Server.Http;

namespace Reeve.Server.Receipts;

/// <summary>Receipts as the wire shows them (wire-mesh 6.1).</summary>
internal static class ReceiptSchemas
{
    internal static readonly OpenApiSchemas All = new(
        ("Receipt", Schema.Record(
            ("id", Schema.Id(Id.Receipt)),
            ("run_id", Schema.Id(Id.Run)),
            ("account_id", Schema.Id(Id.Account)),
            ("agent_id", Schema.Id(Id.Agent).OrNull()),
            ("agent_version", Schema.Integer(1).OrNull()),
            ("model", Schema.Text().OrNull()),
            ("provider", Schema.Text().OrNull()),
            ("tier", Schema.Text()),
            ("privacy_class", Schema.Text()),
            ("usage", Schema.Record(("input_tokens", Schema.Integer()), ("output_tokens", Schema.Integer()))),
            ("cost", Schema.Record(
                ("upstream_usd", Schema.Number(0)),
                ("margin_usd", Schema.Number(0)),
                ("total_usd", Schema.Number(0)))),
            ("latency_ms", Schema.Integer()),
            ("input_sha256", Sha256()),
            ("output_sha256", Sha256()),
            ("log_head", Sha256().About("The head of the run's chain of events.")),
            ("issued_at", Schema.Time()),
            ("key_id", Schema.Text(pattern: "^[0-9a-f]{16}$")),
            ("signature", Schema.Text(pattern: "^[A-Za-z0-9_-]{86}$")
                .About("Ed25519 over the canonical JSON (RFC 8785) of the other members, base64url, no padding.")))),
        ("ReceiptToVerify", Schema.Free().About("The receipt itself, or {\"receipt\":{...}}.")),
        ("ReceiptVerdict", Schema.Record(
            ("valid", Schema.Flag()),
            ("key_id", Schema.Text().OrNull()),
            ("reason", Schema.Word(
                ReceiptVerdict.BadSignature, ReceiptVerdict.UnknownKey, ReceiptVerdict.Malformed).OrNull()),
            ("known", Schema.Flag().About("It is a receipt of this account.")))));

    private static JsonObject Sha256() => Schema.Text(pattern: "^[0-9a-f]{64}$");
}
