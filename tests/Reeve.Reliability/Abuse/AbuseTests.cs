namespace Reeve.Reliability.Abuse;

public sealed class AbuseTests
{
    [Fact]
    public async Task Server_AbusedInEveryWay_ServesTheOthersAndNobodyMore()
    {
        var score = await AbuseHarness.RunAsync(
            new Trial(Scale.Test, 1, TestContext.Current.TestOutputHelper!.WriteLine));

        TestContext.Current.TestOutputHelper.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
        Assert.True(score.Trials > 1_000);
    }
}
