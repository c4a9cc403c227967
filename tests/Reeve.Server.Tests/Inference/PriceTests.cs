using CsCheck;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Inference;

public sealed class PriceTests
{
    [Fact]
    public void Upstream_DocumentedExample_IsExact()
    {
        // wire-mesh 2.1: 1,420 and 24 tokens at 3 and 15 USD a million.
        Assert.Equal(4_620m, Price.Upstream(Sample.Model, 1_420, 24));
        Assert.Equal(5_082, Price.Estimate(Sample.Model, 1_420, 24, 0.1m));
    }

    [Fact]
    public void Estimate_Fractions_AreRoundedUpTwice()
    {
        var model = Sample.Model with { InputUsdPerMillion = 0.05m, OutputUsdPerMillion = 0 };
        Assert.Equal(0.05m, Price.Upstream(model, 1, 0));
        Assert.Equal(1, Price.Estimate(model, 1, 0, 0));
        Assert.Equal(2, Price.Estimate(model, 1, 0, 0.1m));
        Assert.Equal(0, Price.Estimate(model with { InputUsdPerMillion = 0 }, 1_000_000, 1_000_000, 10));
    }

    [Fact]
    public void Upstream_NegativeTokens_AreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Price.Upstream(Sample.Model, -1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => Price.Upstream(Sample.Model, 0, -1));
    }

    [Fact]
    public void Estimate_AnyFigures_CoversTheCostAndNeverOverflows() =>
        Gen.Select(
            Gen.Long[0, 100_000_000], Gen.Long[0, 100_000_000], Gen.Int[0, 1_000_000], Gen.Int[0, 10_000]).Sample(
            (input, output, cents, rate) =>
            {
                var model = Sample.Model with { InputUsdPerMillion = cents / 100m, OutputUsdPerMillion = cents };
                var margin = rate / 1_000m;
                var estimate = Price.Estimate(model, input, output, margin);
                var exact = Price.Upstream(model, input, output) * (1 + margin);
                Assert.InRange(estimate, exact, exact + 2 + margin);
            });
}
