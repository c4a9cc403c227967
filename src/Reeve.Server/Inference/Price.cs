namespace Reeve.Server.Inference;

/// <summary>
/// What a call costs at a model's prices. USD per million tokens are micro-USD per token, so figures are exact decimals
/// until the ledger rounds them (wire-mesh 1.6).
/// </summary>
internal static class Price
{
    /// <summary>The provider's cost of a call in micro-USD, not rounded.</summary>
    internal static decimal Upstream(Model model, long inputTokens, long outputTokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(inputTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(outputTokens);
        return (inputTokens * model.InputUsdPerMillion) + (outputTokens * model.OutputUsdPerMillion);
    }

    /// <summary>
    /// What a call is expected to take from the customer at most, in whole micro-USD: cost and margin, each rounded up.
    /// </summary>
    internal static long Estimate(Model model, long inputTokens, long outputTokens, decimal marginRate)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(marginRate);
        var upstream = decimal.Ceiling(Upstream(model, inputTokens, outputTokens));
        return decimal.ToInt64(upstream + decimal.Ceiling(upstream * marginRate));
    }
}
