namespace Reeve.Server.Receipts;

/// <summary>
/// What a run was, without its content (wire-mesh 6.1). It proves what this server recorded; not what a provider did.
/// </summary>
internal sealed record Receipt
{
    internal required string Id { get; init; }

    internal required string RunId { get; init; }

    internal required string AccountId { get; init; }

    /// <summary>Null for a chat run without an agent.</summary>
    internal string? AgentId { get; init; }

    internal int? AgentVersion { get; init; }

    /// <summary>Null when the run never reached a model.</summary>
    internal string? Model { get; init; }

    internal string? Provider { get; init; }

    internal required string Tier { get; init; }

    /// <summary>The word of the wire.</summary>
    internal required string PrivacyClass { get; init; }

    internal required long InputTokens { get; init; }

    internal required long OutputTokens { get; init; }

    internal required long UpstreamMicroUsd { get; init; }

    internal required long MarginMicroUsd { get; init; }

    internal required long LatencyMilliseconds { get; init; }

    /// <summary>Of the UTF-8 input; lower-case hex, as the other hashes.</summary>
    internal required string InputSha256 { get; init; }

    internal required string OutputSha256 { get; init; }

    /// <summary>The head of the run's event chain, its terminal event included.</summary>
    internal required string LogHead { get; init; }

    internal required DateTimeOffset IssuedAt { get; init; }
}
