namespace Reeve.Reliability.Ledger;

public sealed class RacingLedgerTests
{
    [Fact]
    public async Task Ledger_UnderARace_AgreesWithTheModel()
    {
        var score = await RacingLedger.RunAsync(new Trial(Scale.Test, 1, static _ => { }));

        TestContext.Current.TestOutputHelper!.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }
}
