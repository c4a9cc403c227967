using Reeve.Server.Privacy;

namespace Reeve.Server.Inference;

/// <summary>One way to a model: the model and who answers for it.</summary>
internal readonly record struct RouteKey(string Model, string Provider);

/// <summary>What a model call needs of its model, and what it may cost.</summary>
internal sealed record RouteRequest
{
    private static readonly IReadOnlySet<string> None = System.Collections.Frozen.FrozenSet<string>.Empty;

    /// <summary>A router mode, or a name of the catalogue.</summary>
    internal required string Model { get; init; }

    /// <summary>Names of the catalogue to go on with, in this order.</summary>
    internal IReadOnlyList<string> Fallbacks { get; init; } = [];

    /// <summary>True: the cheapest of <see cref="Model"/> and <see cref="Fallbacks"/> instead of their order.</summary>
    internal bool CheapestOfFallbacks { get; init; }

    internal required PrivacyClass PrivacyClass { get; init; }

    /// <summary>True for test keys.</summary>
    internal bool BuiltInOnly { get; init; }

    /// <summary>Of <see cref="Capabilities"/>: what the model must be able to do beside answering.</summary>
    internal IReadOnlySet<string> Needs { get; init; } = None;

    /// <summary>True for a prompt with images, in which nothing can be masked.</summary>
    internal bool HasImages { get; init; }

    internal required int PromptTokens { get; init; }

    internal required int OutputTokensMax { get; init; }

    /// <summary>What there is to spend; null where money does not matter.</summary>
    internal long? AvailableMicroUsd { get; init; }

    internal decimal MarginRate { get; init; }

    /// <summary>The routes that have failed in this run already.</summary>
    internal IReadOnlySet<RouteKey> Excluded { get; init; } = System.Collections.Frozen.FrozenSet<RouteKey>.Empty;
}
