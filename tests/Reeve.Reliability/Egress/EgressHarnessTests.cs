namespace Reeve.Reliability.Egress;

public sealed class EgressHarnessTests
{
    [Fact]
    public async Task ForbiddenAddresses_InEverySpelling_AreNotReached()
    {
        var score = await EgressHarness.RunAsync(new Trial(Scale.Test, 1, static _ => { }));

        TestContext.Current.TestOutputHelper!.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }

    [Fact]
    public async Task Harness_WithAHoleInTheGuard_SeesIt()
    {
        var score = await EgressHarness.RunWithAHoleAsync(new Trial(Scale.Test, 1, static _ => { }));

        Assert.Contains(score.Problems, static one => one.Contains("as a webhook", StringComparison.Ordinal));
        Assert.Contains(score.Problems, static one => one.Contains("through the guard", StringComparison.Ordinal));
    }
}
