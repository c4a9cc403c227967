namespace Reeve.Reliability.Fuzz.ApiFuzz;

public sealed class TenantMatrixTests
{
    [Fact]
    public async Task Api_EveryFieldWithWhatIsAnothers_AnswersAsIfItNeverExisted()
    {
        var score = await TenantMatrix.RunAsync(
            new Trial(Scale.Test, 1, TestContext.Current.TestOutputHelper!.WriteLine));

        TestContext.Current.TestOutputHelper.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }
}
