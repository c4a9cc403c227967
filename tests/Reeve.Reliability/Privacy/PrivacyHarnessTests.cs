namespace Reeve.Reliability.Privacy;

public sealed class PrivacyHarnessTests
{
    private static readonly Trial Small = new(Scale.Test, 1, static _ => { });

    [Fact]
    public async Task Conversations_OfMixedClasses_ReachWhoMayHaveThem()
    {
        var score = await PrivacyHarness.RunAsync(Small);

        TestContext.Current.TestOutputHelper!.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }

    [Theory]
    [InlineData(true, "keeps was sent what is ")]
    [InlineData(false, "which is protected")]
    public async Task Harness_WithAFalseMarkOfAProvider_SeesIt(bool ofClasses, string seen)
    {
        var score = await PrivacyHarness.RunWithAHoleAsync(Small, ofClasses);

        Assert.Contains(score.Problems, one => one.Contains(seen, StringComparison.Ordinal));
    }
}
