namespace Reeve.Reliability.Parsers;

public sealed class HostileFileTests
{
    [Fact]
    public async Task Server_SentHostileFiles_LivesAndSaysWhyOfEach()
    {
        var score = await HostileFileHarness.RunAsync(
            new Trial(Scale.Test, 1, TestContext.Current.TestOutputHelper!.WriteLine));

        TestContext.Current.TestOutputHelper.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }
}
