namespace Reeve.Server.Credits;

/// <summary>
/// What a run owes after some of its calls, in micro-USD (wire-mesh 1.6): upstream = the exact sum rounded up to 1,
/// margin = upstream x rate rounded up, total = both rounded up to a multiple of N, the excess counted in margin.
/// </summary>
internal readonly record struct Bill(long Upstream, long Margin)
{
    internal long Total => Upstream + Margin;

    internal static Bill For(decimal exactUpstream, CreditOptions options)
    {
        var upstream = (long)decimal.Ceiling(exactUpstream);
        var total = upstream + (long)decimal.Ceiling(upstream * options.MarginRate);
        var step = options.RoundToMicroUsd;
        total = (total + step - 1) / step * step;
        return new Bill(upstream, total - upstream);
    }

    /// <summary>What the next call adds to the total when its exact cost is known or estimated.</summary>
    internal static long Step(decimal exactBefore, decimal exactCall, CreditOptions options) =>
        For(exactBefore + exactCall, options).Total - For(exactBefore, options).Total;

    /// <summary>The part of a total that was really charged: it covers upstream first.</summary>
    internal Bill Charged(long charged)
    {
        var upstream = Math.Min(Upstream, charged);
        return new Bill(upstream, charged - upstream);
    }
}
