using System.Text.Json.Serialization;
using Reeve.Server.Http;

namespace Reeve.Server.Credits;

/// <summary>A ledger entry on the wire (wire-mesh 5.3).</summary>
internal sealed record LedgerEntryBody(
    string Id, string Type, decimal AmountUsd, decimal BalanceUsd, string Mode, string? RunId, string? ReceiptId,
    string? Note, DateTimeOffset CreatedAt)
{
    internal static LedgerEntryBody Of(LedgerEntry entry) => new(
        entry.Id, entry.Type, Money.Usd(entry.Change), Money.Usd(entry.Balance), entry.Mode, entry.RunId,
        entry.ReceiptId, entry.Note, entry.CreatedAt);
}

/// <summary>Usage of one group, or of all (then without a key).</summary>
internal sealed record UsageBody
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Key { get; init; }

    /// <summary>Model calls.</summary>
    public required long Requests { get; init; }

    public required long Runs { get; init; }

    public required long InputTokens { get; init; }

    public required long OutputTokens { get; init; }

    public required decimal UpstreamUsd { get; init; }

    public required decimal MarginUsd { get; init; }

    public required decimal TotalUsd { get; init; }

    public required decimal Credits { get; init; }
}

internal sealed record UsageAnswer(
    IReadOnlyList<UsageBody> Data, bool HasMore, string? NextCursor, UsageBody Totals);

[JsonSerializable(typeof(LedgerEntryBody))]
[JsonSerializable(typeof(Page<LedgerEntryBody>))]
[JsonSerializable(typeof(UsageAnswer))]
internal sealed partial class CreditJson : JsonSerializerContext
{
    internal static readonly CreditJson Wire = new(ApiJson.Options());
}
