using Reeve.Server.Privacy;

namespace Reeve.Server.Inference;

/// <summary>What a model call needs of its model, and what it may cost.</summary>
internal sealed record RouteRequest
{
    private static readonly IReadOnlySet<string> None = System.Collections.Frozen.FrozenSet<string>.Empty;

    /// <summary>A router mode, or a name of the catalogue.</summary>
    internal required string Model { get; init; }

    internal required PrivacyClass PrivacyClass { get; init; }

    /// <summary>True for test keys.</summary>
    internal bool BuiltInOnly { get; init; }

    /// <summary>Of <see cref="Capabilities"/>: what the model must be able to do beside answering.</summary>
    internal IReadOnlySet<string> Needs { get; init; } = None;

    internal required int PromptTokens { get; init; }

    internal required int OutputTokensMax { get; init; }

    /// <summary>What there is to spend; null where money does not matter.</summary>
    internal long? AvailableMicroUsd { get; init; }

    internal decimal MarginRate { get; init; }

    /// <summary>Ids of models that have failed in this run already.</summary>
    internal IReadOnlySet<string> Excluded { get; init; } = None;
}
