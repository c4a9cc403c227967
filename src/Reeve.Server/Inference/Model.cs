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

    /// <summary>Of <c>chat</c>, <c>tools</c>, <c>structured_output</c>, <c>vision</c>, <c>streaming</c>.</summary>
    internal required IReadOnlySet<string> Capabilities { get; init; }

    /// <summary>When the provider published it; the epoch where nobody said.</summary>
    internal DateTimeOffset CreatedAt { get; init; } = DateTimeOffset.UnixEpoch;

    internal bool IsBuiltIn { get; init; }

    /// <summary>True for a model that says which of the given sources it quoted; the rest are not shown.</summary>
    internal bool ReportsCitations { get; init; }
}

internal static class Capabilities
{
    internal const string Chat = "chat";
    internal const string Tools = "tools";
    internal const string StructuredOutput = "structured_output";
    internal const string Vision = "vision";
    internal const string Streaming = "streaming";

    internal static readonly string[] Words = [Chat, Tools, StructuredOutput, Vision, Streaming];
}
