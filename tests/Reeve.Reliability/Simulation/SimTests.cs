namespace Reeve.Reliability.Simulation;

public sealed class SimTests
{
    [Fact]
    public async Task Histories_OfManySeeds_BreakNoInvariant()
    {
        var score = await SimHarness.RunAsync(new Trial(Scale.Test, 1, static _ => { }));

        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Seed_PlayedTwice_GivesTheSameHistory(ulong seed) =>
        Assert.Equal(SimWorld.Run(seed).History, SimWorld.Run(seed).History);
}
