namespace Reeve.Server.Inference;

/// <summary>A model of the catalogue. Prices are USD per million tokens, which is micro-USD per token.</summary>
internal sealed record Model
{
    /// <summary>The name on the wire, such as <c>mesh/claude-sonnet-4.5</c>.</summary>
    internal required string Id { get; init; }

    internal required string Provider { get; init; }

    /// <summary>The name that the provider knows.</summary>
    internal required string Upstream { get; init; }

    internal required int ContextTokens { get; init; }

    internal required int OutputTokensMax { get; init; }

    /// <summary>0-100, the operator's judgement; 50 where nothing was said.</summary>
    internal int Quality { get; init; } = 50;

    internal required decimal InputUsdPerMillion { get; init; }

    internal required decimal OutputUsdPerMillion { get; init; }

    /// <summary>For input that the provider read from its cache; null where that costs as other input.</summary>
    internal decimal? CachedInputUsdPerMillion { get; init; }

    /// <summary>For input that the provider wrote to its cache; null where that costs as other input.</summary>
    internal decimal? CacheWriteUsdPerMillion { get; init; }

    /// <summary>False for a model of unknown price, which the operator let in at 0.</summary>
    internal bool IsPriced { get; init; } = true;

    /// <summary>
    /// Of <c>chat</c>, <c>tools</c>, <c>structured_output</c>, <c>vision</c>, <c>streaming</c>; a model for embeddings
    /// has <c>embeddings</c>, and <c>dimensions</c> where a request may ask for shorter vectors.
    /// </summary>
    internal required IReadOnlySet<string> Capabilities { get; init; }

    /// <summary>Numbers in a vector of a model for embeddings; null where nobody said.</summary>
    internal int? Dimensions { get; init; }

    /// <summary>
    /// True when the provider fetches an image itself by its http or https address; otherwise an image is bytes.
    /// </summary>
    internal bool TakesImageUrls { get; init; } = true;

    /// <summary>When the provider published it; the epoch where nobody said.</summary>
    internal DateTimeOffset CreatedAt { get; init; } = DateTimeOffset.UnixEpoch;

    internal bool IsBuiltIn { get; init; }

    /// <summary>True for a model that says which of the given sources it quoted; the rest are not shown.</summary>
    internal bool ReportsCitations { get; init; }

    internal bool MakesEmbeddings => Capabilities.Contains(Inference.Capabilities.Embeddings);
}

internal static class Capabilities
{
    internal const string Chat = "chat";
    internal const string Tools = "tools";
    internal const string StructuredOutput = "structured_output";
    internal const string Vision = "vision";
    internal const string Streaming = "streaming";
    internal const string Embeddings = "embeddings";
    internal const string Dimensions = "dimensions";

    /// <summary>Of models that answer.</summary>
    internal static readonly string[] Words = [Chat, Tools, StructuredOutput, Vision, Streaming];

    /// <summary>Of models that turn text into vectors; no model does both.</summary>
    internal static readonly string[] EmbeddingWords = [Embeddings, Dimensions];
}
