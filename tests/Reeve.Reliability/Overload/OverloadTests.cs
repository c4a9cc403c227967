namespace Reeve.Reliability.Overload;

public sealed class OverloadTests
{
    [Fact]
    public async Task Node_OfferedFiveTimesItsPeak_RefusesTheRestAndLosesNothing()
    {
        var score = await OverloadHarness.RunAsync(
            new Trial(Scale.Test, 1, TestContext.Current.TestOutputHelper!.WriteLine));

        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
        Assert.True(score.Trials > 0);
    }
}
