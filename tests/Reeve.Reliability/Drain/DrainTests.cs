namespace Reeve.Reliability.Drain;

public sealed class DrainTests
{
    [Fact]
    public async Task Sigterm_UnderLoad_LosesNothingAndTellsEveryClientWhatToDo()
    {
        var score = await DrainHarness.RunAsync(
            new Trial(Scale.Test, 1, TestContext.Current.TestOutputHelper!.WriteLine));

        TestContext.Current.TestOutputHelper.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }
}
