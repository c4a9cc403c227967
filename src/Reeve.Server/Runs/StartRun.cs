using System.Text.Json;
using Reeve.Server.Credits;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

internal enum OnBusy
{
    Reject,
    Queue,
    Interrupt,
}

internal static class RunKinds
{
    internal const string Agent = "agent";
    internal const string Chat = "chat";
    internal const string Embedding = "embedding";

    internal static readonly string[] Words = [Agent, Chat, Embedding];
}

/// <summary>A request for a run, whichever API it came through.</summary>
internal sealed record StartRun
{
    internal required Payer Payer { get; init; }

    internal TenantContext Tenant => new(Payer.AccountId);

    internal required string RequestId { get; init; }

    /// <summary>
    /// As the caller named it: <c>agt_X</c>, <c>agt_X@3</c> or a slug; null for embeddings and a chat without one.
    /// </summary>
    internal required string? Agent { get; init; }

    /// <summary>The last thing that the caller's side said, for a chat; empty for embeddings.</summary>
    internal required string Input { get; init; }

    /// <summary>Canonical id of the conversation to continue; null begins one.</summary>
    internal string? ConversationId { get; init; }

    internal string? UserId { get; init; }

    internal string? UserName { get; init; }

    /// <summary>The user as the run object shows it.</summary>
    internal JsonElement? User { get; init; }

    internal JsonElement? UserMetadata { get; init; }

    internal JsonElement? Metadata { get; init; }

    internal OnBusy OnBusy { get; init; }

    internal bool CancelOnDisconnect { get; init; }

    /// <summary>True when nobody follows the text as it comes.</summary>
    internal bool Whole { get; init; }

    internal PrivacyClass PrivacyClass { get; init; }

    /// <summary>True when what it says must be encrypted at rest, whatever its class: it came sealed.</summary>
    internal bool IsSealed { get; init; }

    /// <summary>Micro-USD.</summary>
    internal long? CreditsMax { get; init; }

    internal JsonElement? OutputSchema { get; init; }

    /// <summary>Set for a chat, which has no conversation and perhaps no agent.</summary>
    internal ChatRequest? Chat { get; init; }

    /// <summary>Set for embeddings, which have neither conversation nor agent.</summary>
    internal EmbeddingRequest? Embedding { get; init; }

    internal string Kind =>
        Embedding is not null ? RunKinds.Embedding : Chat is not null ? RunKinds.Chat : RunKinds.Agent;

    internal bool HasConversation => Kind == RunKinds.Agent;

    internal IdempotencyScope? Idempotency { get; init; }
}

/// <summary>A run that this request started, or the one that an earlier request with its key did.</summary>
internal sealed record Admission(string RunId, LiveRun? Run, bool IsReplay);
