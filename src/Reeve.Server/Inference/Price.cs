namespace Reeve.Server.Inference;

/// <summary>
/// What a call costs at a model's prices. USD per million tokens are micro-USD per token, so figures are exact decimals
/// until the ledger rounds them (wire-mesh 1.6).
/// </summary>
internal static class Price
{
    /// <summary>
    /// The provider's cost of a call in micro-USD, not rounded. What was read from the provider's cache and written to
    /// it are parts of the input.
    /// </summary>
    internal static decimal Upstream(
        Model model, long inputTokens, long outputTokens, long cachedInputTokens = 0, long cacheWriteTokens = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(inputTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(outputTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(cachedInputTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(cacheWriteTokens);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(cachedInputTokens + cacheWriteTokens, inputTokens);
        var input = model.InputUsdPerMillion;
        return ((inputTokens - cachedInputTokens - cacheWriteTokens) * input)
            + (cachedInputTokens * (model.CachedInputUsdPerMillion ?? input))
            + (cacheWriteTokens * (model.CacheWriteUsdPerMillion ?? input))
            + (outputTokens * model.OutputUsdPerMillion);
    }

    /// <summary>
    /// The most that a call can cost: nobody knows beforehand what the provider has in its cache, so all input counts
    /// at the dearest of its prices. Holds are taken by this.
    /// </summary>
    internal static decimal UpstreamMax(Model model, long inputTokens, long outputTokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(inputTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(outputTokens);
        var plain = model.InputUsdPerMillion;
        var dearest = Math.Max(
            plain, Math.Max(model.CachedInputUsdPerMillion ?? plain, model.CacheWriteUsdPerMillion ?? plain));
        return (inputTokens * dearest) + (outputTokens * model.OutputUsdPerMillion);
    }

    /// <summary>
    /// What a call is expected to take from the customer at most, in whole micro-USD: cost and margin, each rounded up.
    /// </summary>
    internal static long Estimate(Model model, long inputTokens, long outputTokens, decimal marginRate)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(marginRate);
        var upstream = decimal.Ceiling(UpstreamMax(model, inputTokens, outputTokens));
        return decimal.ToInt64(upstream + decimal.Ceiling(upstream * marginRate));
    }
}
