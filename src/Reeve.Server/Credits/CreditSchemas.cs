using System.Text.Json.Nodes;
using Reeve.Server.Http;

namespace Reeve.Server.Credits;

/// <summary>Usage and ledger as the wire shows them (wire-mesh 5.3), and the operator's top-up (5.2).</summary>
internal static class CreditSchemas
{
    internal static readonly OpenApiSchemas All = new(
        ("LedgerEntry", Schema.Record(
            ("id", Schema.Id(Id.Event)),
            ("type", Schema.Word(LedgerStore.ShownTypes)),
            ("amount_usd", Schema.Number().About("The change of the available balance.")),
            ("balance_usd", Schema.Number()),
            ("mode", Schema.Word("live", "test")),
            ("run_id", Schema.Id(Id.Run).OrNull()),
            ("receipt_id", Schema.Id(Id.Receipt).OrNull()),
            ("note", Schema.Text().OrNull()),
            ("created_at", Schema.Time()))),
        ("CreditAdjustment", Schema.Body(
            ["amount_usd"],
            ("amount_usd", Schema.Number(-1_000_000_000, 1_000_000_000)
                .About("Not 0; negative only down to what is available; at most 6 decimals.")),
            ("mode", Schema.Word("live", "test")),
            ("note", Schema.Text(0, 200)))),
        ("Usage", Schema.Record(
            ("data", Schema.List(Schema.Record([("key", Schema.Text()), .. SumMembers()]))),
            ("has_more", Schema.Flag()),
            ("next_cursor", Schema.Text().OrNull()),
            ("totals", Schema.Record(SumMembers())))));

    private static (string, JsonObject)[] SumMembers() =>
    [
        ("requests", Schema.Integer().About("Model calls.")),
        ("runs", Schema.Integer()),
        ("input_tokens", Schema.Integer()),
        ("output_tokens", Schema.Integer()),
        ("upstream_usd", Schema.Number(0)),
        ("margin_usd", Schema.Number(0)),
        ("total_usd", Schema.Number(0)),
        ("credits", Schema.Number(0)),
    ];
}
