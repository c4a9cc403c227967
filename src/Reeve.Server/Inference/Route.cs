using Microsoft.Extensions.AI;
using Reeve.Server.Privacy;

namespace Reeve.Server.Inference;

/// <summary>The choice for one model call.</summary>
internal sealed record Route
{
    /// <summary>The router mode asked for, or <c>direct</c> when a model was named.</summary>
    internal required string Tier { get; init; }

    internal required CatalogModel Entry { get; init; }

    internal Model Model => Entry.Model;

    /// <summary>Of a model that answers.</summary>
    internal IChatClient Client => ((CatalogEntry)Entry).Client;

    /// <summary>Of a model for embeddings.</summary>
    internal IEmbeddingGenerator<string, Embedding<float>> Generator => ((EmbeddingEntry)Entry).Generator;

    /// <summary>What the provider promises of the content.</summary>
    internal PrivacyMarks Privacy => Entry.Privacy;

    /// <summary>One sentence for the run object's <c>route_reason</c>.</summary>
    internal required string Reason { get; init; }
}
