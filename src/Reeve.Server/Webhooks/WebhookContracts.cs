using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Reeve.Server.Egress;
using Reeve.Server.Http;

namespace Reeve.Server.Webhooks;

/// <summary>
/// A webhook as the wire shows it (wire-mesh 5.5); <c>Secret</c> is there when it is made and never again.
/// </summary>
internal sealed record WebhookRecord(
    string Id, string Url, IReadOnlyList<string> Events, string? Description, bool Enabled, DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Secret { get; init; }

    internal static WebhookRecord Of(Webhook webhook) => new(webhook.Id, webhook.Url, webhook.Events,
        webhook.Description, webhook.Enabled, webhook.CreatedAt, webhook.UpdatedAt);
}

/// <summary>
/// A delivery as the wire shows it: what became of its newest attempt, never what was sent or answered.
/// </summary>
internal sealed record DeliveryRecord(
    string Id, string Type, long Sequence, string Status, int Attempts, int? ResponseStatus, string? Error,
    DateTimeOffset? NextAttemptAt, DateTimeOffset CreatedAt, DateTimeOffset? FinishedAt)
{
    internal static DeliveryRecord Of(WebhookDelivery delivery) => new(delivery.EventId, delivery.Type,
        delivery.Sequence, delivery.Status, delivery.Attempts, delivery.ResponseStatus, delivery.Error, delivery.NextAt,
        delivery.CreatedAt, delivery.FinishedAt);
}

[JsonSerializable(typeof(WebhookRecord))]
[JsonSerializable(typeof(Page<WebhookRecord>))]
[JsonSerializable(typeof(DeliveryRecord))]
[JsonSerializable(typeof(Page<DeliveryRecord>))]
internal sealed partial class WebhookJson : JsonSerializerContext
{
    internal static readonly WebhookJson Wire = new(ApiJson.Options());
}

/// <summary>The same for the OpenAPI document.</summary>
internal static class WebhookSchemas
{
    internal const int DescriptionMax = 500;

    internal static readonly OpenApiSchemas All = new(
        ("Webhook", Schema.Record(
            ("id", Schema.Id(Id.Webhook)),
            ("url", Schema.Text(1)),
            ("events", Events()),
            ("description", Schema.Text().OrNull()),
            ("enabled", Schema.Flag()),
            ("created_at", Schema.Time()),
            ("updated_at", Schema.Time()))
            .Maybe("secret", Schema.Text(pattern: "^whsec_").About("Only when it is made or rotated."))),
        ("WebhookCreate", Schema.Body(["url", "events"], Members())),
        ("WebhookChange", Schema.Change(["url", "events"], Members())),
        ("WebhookDelivery", Schema.Record(
            ("id", Schema.Id(Id.Event).About("The webhook-id of every attempt.")),
            ("type", Schema.Word([.. WebhookEvents.All, WebhookEvents.Test])),
            ("sequence", Schema.Integer(1)),
            ("status", Schema.Word(DeliveryStatuses.All)),
            ("attempts", Schema.Integer()),
            ("response_status", Schema.Integer(100, 999).OrNull().About("Of the newest attempt.")),
            ("error", Schema.Word("forbidden_address", "unresolved", "unreachable", "tls", "timeout", "protocol",
                "disabled", "overflow", "internal").OrNull().About("Why the newest attempt had no answer, or why there "
                + "is no other: disabled, and overflow where too many newer ones are pending.")),
            ("next_attempt_at", Schema.Time().OrNull()),
            ("created_at", Schema.Time()),
            ("finished_at", Schema.Time().OrNull()))));

    private static (string, JsonObject)[] Members() =>
    [
        ("url", Schema.Text(1, EgressUrl.LengthMax, "^[Hh][Tt][Tt][Pp][Ss]?://[!-~]+$").About("https, a public host.")),
        ("events", Events()),
        ("description", Schema.Text(0, DescriptionMax)),
        ("enabled", Schema.Flag().About("True when left out.")),
    ];

    private static JsonObject Events() => Schema.List(Schema.Word(WebhookEvents.All), min: 1);
}
