using CsCheck;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Inference;

public sealed class PriceTests
{
    [Fact]
    public void Upstream_CachedInput_HasItsOwnPrices()
    {
        var model = Sample.Model with { CachedInputUsdPerMillion = 0.3m, CacheWriteUsdPerMillion = 3.75m };
        Assert.Equal(
            (500 * 3m) + (400 * 0.3m) + (100 * 3.75m) + (24 * 15m), Price.Upstream(model, 1_000, 24, 400, 100));
        Assert.Equal(1_000 * 3m, Price.Upstream(Sample.Model, 1_000, 0, 400, 100));
        Assert.Throws<ArgumentOutOfRangeException>(() => Price.Upstream(model, 499, 0, 400, 100));
    }

    [Fact]
    public void UpstreamMax_WhateverIsCached_IsNeverLess() => Gen.Select(
        Gen.Int[0, 1_000], Gen.Int[0, 1_000], Gen.Int[0, 1_000], Gen.Int[0, 1_000], Gen.Int[0, 1_000]).Sample(
        (plain, cached, written, readCents, writeCents) =>
        {
            var model = Sample.Model with
            {
                CachedInputUsdPerMillion = readCents / 100m,
                CacheWriteUsdPerMillion = writeCents / 100m,
            };
            var input = plain + cached + written;
            Assert.True(Price.Upstream(model, input, 7, cached, written) <= Price.UpstreamMax(model, input, 7));
        });

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
