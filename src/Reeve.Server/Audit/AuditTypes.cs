namespace Reeve.Server.Audit;

/// <summary>What an entry says happened. Never renamed or reused: old chains have them.</summary>
internal static class AuditTypes
{
    /// <summary>First of a chain whose account is older than the audit.</summary>
    internal const string Begun = "audit.begun";

    internal const string AccountCreated = "account.created";
    internal const string AccountChanged = "account.changed";
    internal const string KeyCreated = "key.created";
    internal const string KeyLimited = "key.limited";
    internal const string KeyRevoked = "key.revoked";
    internal const string CreditsAdjusted = "credits.adjusted";
    internal const string AgentCreated = "agent.created";
    internal const string AgentChanged = "agent.changed";
    internal const string AgentDeleted = "agent.deleted";
    internal const string DocumentDeleted = "document.deleted";
    internal const string ConversationDeleted = "conversation.deleted";
    internal const string WebhookCreated = "webhook.created";
    internal const string WebhookChanged = "webhook.changed";
    internal const string WebhookRotated = "webhook.rotated";
    internal const string WebhookDeleted = "webhook.deleted";
    internal const string ProviderChanged = "provider.changed";
    internal const string SigningKeyRotated = "signing_key.rotated";

    /// <summary>A run ended; its detail is the head of its log, which the receipt names too.</summary>
    internal const string RunEnded = "run.ended";
}
