using Reeve.Server.Credits;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>The part of a run's row that never changes: whose it is, where it stands, who pays.</summary>
internal sealed record RunHead
{
    internal required string RunId { get; init; }

    internal required string? AgentId { get; init; }

    internal required string? ConversationId { get; init; }

    /// <summary>1, 2, 3 in its conversation, in the order of admission.</summary>
    internal required int Ordinal { get; init; }

    internal required Payer Payer { get; init; }

    internal required string? UserId { get; init; }

    /// <summary>The request that started the run; a replayed error body names it.</summary>
    internal required string RequestId { get; init; }

    /// <summary>True when what it says is encrypted.</summary>
    internal bool IsSealed { get; init; }

    internal TenantContext Tenant => new(Payer.AccountId);
}
