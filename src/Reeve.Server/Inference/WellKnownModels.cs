using System.Collections.Frozen;

namespace Reeve.Server.Inference;

/// <summary>
/// Models that are there as soon as a provider's key is, with prices as we knew them on <see cref="PricedOn"/>, not
/// checked against the vendors' lists. An operator who pays other prices names the models in the configuration file,
/// which wins. <c>Quality</c> is our judgement.
/// </summary>
internal static class WellKnownModels
{
    internal static readonly DateOnly PricedOn = new(2025, 11, 25);

    private static readonly FrozenSet<string> Everything = Capabilities.Words.ToFrozenSet(StringComparer.Ordinal);

    private static readonly Model[] Anthropic =
    [
        Claude("mesh/claude-haiku-4.5", "claude-haiku-4-5-20251001", 1, 5, quality: 65, new(2025, 10, 15)),
        Claude("mesh/claude-sonnet-4.5", "claude-sonnet-4-5-20250929", 3, 15, quality: 85, new(2025, 9, 29)),
        Claude("mesh/claude-opus-4.5", "claude-opus-4-5-20251101", 5, 25, quality: 95, new(2025, 11, 24)),
    ];

    private static readonly Model[] OpenAI =
    [
        Gpt("gpt-5", 400_000, 128_000, 1.25m, 10, quality: 90, new(2025, 8, 7)),
        Gpt("gpt-5-mini", 400_000, 128_000, 0.25m, 2, quality: 70, new(2025, 8, 7)),
        Gpt("gpt-5-nano", 400_000, 128_000, 0.05m, 0.4m, quality: 45, new(2025, 8, 7)),
        Gpt("gpt-4.1", 1_047_576, 32_768, 2, 8, quality: 75, new(2025, 4, 14)),
        Gpt("gpt-4.1-mini", 1_047_576, 32_768, 0.4m, 1.6m, quality: 55, new(2025, 4, 14)),
        Gpt("gpt-4.1-nano", 1_047_576, 32_768, 0.1m, 0.4m, quality: 40, new(2025, 4, 14)),
        Gpt("gpt-4o", 128_000, 16_384, 2.5m, 10, quality: 65, new(2024, 5, 13)),
        Gpt("gpt-4o-mini", 128_000, 16_384, 0.15m, 0.6m, quality: 50, new(2024, 7, 18)),
    ];

    internal static IReadOnlyList<Model> Of(string kind) => kind switch
    {
        ProviderKinds.Anthropic => Anthropic,
        ProviderKinds.OpenAI => OpenAI,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "has no list of models"),
    };

    private static Model Claude(
        string id, string upstream, decimal input, decimal output, int quality, DateOnly published) => new()
        {
            Id = id,
            Provider = ProviderKinds.Anthropic,
            Upstream = upstream,
            ContextTokens = 200_000,
            OutputTokensMax = 64_000,
            Quality = quality,
            InputUsdPerMillion = input,
            OutputUsdPerMillion = output,
            Capabilities = Everything,
            CreatedAt = new DateTimeOffset(published, TimeOnly.MinValue, TimeSpan.Zero),
        };

    private static Model Gpt(
        string name, int context, int outputMax, decimal input, decimal output, int quality, DateOnly published) =>
        new()
        {
            Id = "mesh/" + name,
            Provider = ProviderKinds.OpenAI,
            Upstream = name,
            ContextTokens = context,
            OutputTokensMax = outputMax,
            Quality = quality,
            InputUsdPerMillion = input,
            OutputUsdPerMillion = output,
            Capabilities = Everything,
            CreatedAt = new DateTimeOffset(published, TimeOnly.MinValue, TimeSpan.Zero),
        };
}
