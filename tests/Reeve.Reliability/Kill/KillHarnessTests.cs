namespace Reeve.Reliability.Kill;

public sealed class KillHarnessTests
{
    [Fact]
    public async Task Kill_AtRandomMomentsUnderLoad_LosesNothing() =>
        AssertClean(await KillHarness.RunAsync(Trial()));

    private static Trial Trial() =>
        new(Scale.Test, 1, line => TestContext.Current.TestOutputHelper!.WriteLine(line));

    private static void AssertClean(Score score)
    {
        TestContext.Current.TestOutputHelper!.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }
}
