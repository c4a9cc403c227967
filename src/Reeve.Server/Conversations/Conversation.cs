using System.Text.Json;
using Reeve.Server.Storage;

namespace Reeve.Server.Conversations;

internal static class ConversationStatuses
{
    internal const string Active = "active";
    internal const string Ended = "ended";
}

internal sealed record Conversation
{
    internal required string Id { get; init; }

    internal required string AgentId { get; init; }

    internal required string Title { get; init; }

    internal required string Status { get; init; }

    /// <summary>The <c>user</c> object of the wire as it was given; null when none was.</summary>
    internal JsonElement? User { get; init; }

    internal required JsonElement Metadata { get; init; }

    internal ForkedFrom? ForkedFrom { get; init; }

    internal required DateTimeOffset CreatedAt { get; init; }

    internal required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>True when title, user, metadata and copied messages are encrypted.</summary>
    internal bool IsSealed { get; init; }

    /// <summary>The user's own id inside <see cref="User"/>.</summary>
    internal string? UserId => User is { } user && user.TryGetProperty("id", out var id)
        && id.ValueKind == JsonValueKind.String ? id.GetString() : null;
}

/// <summary>Where a fork began; no message when the other conversation had none.</summary>
internal sealed record ForkedFrom(string ConversationId, string? MessageId);

/// <summary>What the runs of a conversation add up to; never stored.</summary>
internal sealed record ConversationSums(
    long RunCount, long MessageCount, long ChargedMicroUsd, string? ActiveRunId, DateTimeOffset? LastRunAt);

internal sealed record ConversationView(Conversation Conversation, ConversationSums Sums)
{
    internal DateTimeOffset UpdatedAt => Sums.LastRunAt > Conversation.UpdatedAt
        ? Sums.LastRunAt.Value : Conversation.UpdatedAt;
}

internal sealed record ConversationFilter(string? AgentId, string? UserId, string? Status);

/// <summary>Ends every run of a conversation that has not ended; done when their last events are durable.</summary>
internal delegate Task CancelConversationRuns(TenantContext tenant, string conversationId);

/// <summary>A conversation is <c>conv_X</c>, in any letter case; the other API's <c>task_X</c> names it too.</summary>
internal static class ConversationId
{
    private const string TaskPrefix = "task";

    internal static string? Parse(string text)
    {
        if (Id.TryParse(Id.Conversation, text, out var id))
        {
            return id;
        }

        return Id.TryParse(TaskPrefix, text, out var taskId) ? Id.WithPrefix(Id.Conversation, taskId) : null;
    }
}
