using Reeve.Server.Credits;

namespace Reeve.Server.Tests.Credits;

public sealed class BillTests
{
    [Theory]
    [InlineData("0", "0.1", 1, 0, 0)]
    [InlineData("1.2", "0.1", 1, 2, 1)] // 1.2 rounds up to 2, a tenth of that to 1.
    [InlineData("10", "0", 5, 10, 0)] // A multiple stays.
    [InlineData("11", "0", 5, 11, 4)]
    [InlineData("20", "0.25", 10, 20, 10)]
    public void For_ExactCost_RoundsUpAndCountsTheExcessAsMargin(
        string exact, string rate, long step, long upstream, long margin)
    {
        var bill = Bill.For(Decimal(exact), new CreditOptions { MarginRate = Decimal(rate), RoundToMicroUsd = step });

        Assert.Equal((upstream, margin, upstream + margin), (bill.Upstream, bill.Margin, bill.Total));
    }

    [Fact]
    public void Step_OfTwoCalls_AddsUpToTheBillOfBoth()
    {
        var options = new CreditOptions();

        Assert.Equal(1, Bill.Step(0, 0.6m, options));
        Assert.Equal(1, Bill.Step(0.6m, 0.6m, options));
        Assert.Equal(0, Bill.Step(1.2m, 0.6m, options));
    }

    [Theory]
    [InlineData(6, 5, 1)]
    [InlineData(5, 5, 0)]
    [InlineData(4, 4, 0)]
    public void Charged_LessThanTheTotal_CoversUpstreamFirst(long charged, long upstream, long margin) =>
        Assert.Equal(new Bill(upstream, margin), new Bill(5, 3).Charged(charged));

    private static decimal Decimal(string text) =>
        decimal.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
}
