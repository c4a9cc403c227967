using Reeve.Server.Storage;

namespace Reeve.Server.Webhooks;

/// <summary>An address of an account that hears of events.</summary>
internal sealed record Webhook
{
    internal required string Id { get; init; }

    internal required TenantContext Tenant { get; init; }

    internal required string Url { get; init; }

    internal required IReadOnlyList<string> Events { get; init; }

    internal string? Description { get; init; }

    internal required bool Enabled { get; init; }

    /// <summary>Sealed; see <see cref="WebhookSecrets"/>.</summary>
    internal required byte[] Secret { get; init; }

    /// <summary>Those before, one after the other; they sign too until <see cref="OldSecretUntil"/>.</summary>
    internal byte[]? OldSecret { get; init; }

    internal DateTimeOffset? OldSecretUntil { get; init; }

    /// <summary>When the first of the failures came that nothing but failures followed.</summary>
    internal DateTimeOffset? FailingSince { get; init; }

    internal required DateTimeOffset CreatedAt { get; init; }

    internal required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>What a webhook can hear of. The ends of a run have the names that its log has for them.</summary>
internal static class WebhookEvents
{
    internal const string DocumentReady = "document.ready";
    internal const string DocumentFailed = "document.failed";
    internal const string BalanceLow = "balance.low";

    /// <summary>Sent when its owner asks for it; nobody subscribes to it.</summary>
    internal const string Test = "webhook.test";

    internal static readonly string[] All =
    [
        "run.completed", "run.failed", "run.cancelled", "run.action_required", DocumentReady, DocumentFailed,
        BalanceLow,
    ];
}

/// <summary>One event on its way to one webhook.</summary>
internal sealed record WebhookDelivery
{
    internal required string WebhookId { get; init; }

    /// <summary>The same over all attempts, and over all webhooks of an account that hear of the event.</summary>
    internal required string EventId { get; init; }

    internal required TenantContext Tenant { get; init; }

    /// <summary>1, 2, 3 without gaps for each webhook, in the order of the commits.</summary>
    internal required long Sequence { get; init; }

    internal required string Type { get; init; }

    /// <summary>The id of the run, document, account or webhook that it is about.</summary>
    internal required string Subject { get; init; }

    /// <summary>For <c>balance.low</c>: the micro-USD that were left.</summary>
    internal long? Available { get; init; }

    internal required string Status { get; init; }

    internal required int Attempts { get; init; }

    internal DateTimeOffset? NextAt { get; init; }

    internal int? ResponseStatus { get; init; }

    internal string? Error { get; init; }

    internal required DateTimeOffset CreatedAt { get; init; }

    internal DateTimeOffset? FinishedAt { get; init; }
}

internal static class DeliveryStatuses
{
    internal const string Pending = "pending";
    internal const string Delivered = "delivered";
    internal const string Failed = "failed";

    internal static readonly string[] All = [Pending, Delivered, Failed];
}
