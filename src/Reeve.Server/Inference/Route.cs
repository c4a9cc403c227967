using Microsoft.Extensions.AI;
using Reeve.Server.Privacy;

namespace Reeve.Server.Inference;

/// <summary>The choice for one model call.</summary>
internal sealed record Route
{
    /// <summary>The router mode asked for, or <c>direct</c> when a model was named.</summary>
    internal required string Tier { get; init; }

    internal required Model Model { get; init; }

    internal required IChatClient Client { get; init; }

    /// <summary>What the provider promises of the content.</summary>
    internal required PrivacyMarks Privacy { get; init; }

    /// <summary>One sentence for the run object's <c>route_reason</c>.</summary>
    internal required string Reason { get; init; }
}
