namespace Reeve.Reliability.Chaos;

public sealed class ChaosHarnessTests
{
    [Fact]
    public async Task Chaos_OnBothSidesOfTheServer_DoublesAndLosesNothing()
    {
        var score = await ChaosHarness.RunAsync(new Trial(Scale.Test, 1, static _ => { }));

        TestContext.Current.TestOutputHelper!.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }
}
