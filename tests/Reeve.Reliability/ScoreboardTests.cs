namespace Reeve.Reliability;

public sealed class ScoreboardTests
{
    [Fact]
    public void Row_Each_EitherRunsOrSaysWhereItWillPlugIn()
    {
        Assert.All(ScoreRows.All, static row => Assert.NotEqual(row.Run is null, row.NotYet is null));
        Assert.Equal(ScoreRows.All.Count, ScoreRows.All.DistinctBy(static row => row.Id).Count());
    }
}
