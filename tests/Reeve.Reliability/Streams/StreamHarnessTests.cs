namespace Reeve.Reliability.Streams;

public sealed class StreamHarnessTests
{
    [Fact]
    public async Task Resume_AtAnyByte_GivesTheUncutStream() =>
        AssertClean(await ResumeHarness.RunAsync(Trial()));

    [Fact]
    public async Task Swarm_WithStalledReaders_LosesNoGoodOne() =>
        AssertClean(await StreamSwarm.RunAsync(Trial()));

    private static Trial Trial() =>
        new(Scale.Test, 1, line => TestContext.Current.TestOutputHelper!.WriteLine(line));

    private static void AssertClean(Score score)
    {
        TestContext.Current.TestOutputHelper!.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }
}
