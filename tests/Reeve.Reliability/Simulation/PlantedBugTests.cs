namespace Reeve.Reliability.Simulation;

/// <summary>The simulator turns red on each bug that it is there to find, and only then.</summary>
public sealed class PlantedBugTests(PlantedServer planted) : IClassFixture<PlantedServer>
{
    private const int HistoriesMax = 1_000;

    [Theory]
    [InlineData("settle_twice")]
    [InlineData("leak_hold")]
    [InlineData("skip_epoch")]
    [InlineData("send_early")]
    [InlineData("repeat_tool")]
    [InlineData("lazy_sync")]
    [InlineData("no_reset")]
    [InlineData("forget_hedge")]
    [InlineData("early_poison")]
    [InlineData("forget_key")]
    [InlineData("lose_document")]
    [InlineData("deaf_cancel")]
    public async Task Bug_Planted_TurnsTheHistoriesRed(string name)
    {
        var bug = PlantedBugs.All.First(one => one.Name == name);

        var (isRed, output) = await planted.Bugs.PlayAsync(name, HistoriesMax);

        Assert.True(isRed, $"Nobody saw that {bug.What}.");
        Assert.Contains(bug.Invariant, output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_WithItsBugsOff_IsGreen()
    {
        var (isRed, output) = await planted.Bugs.PlayAsync(null, 20);

        Assert.False(isRed, output);
    }
}

public sealed class PlantedServer : IAsyncLifetime
{
    internal PlantedBugs Bugs { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Bugs = await PlantedBugs.BuildAsync(FindRoot());

    public ValueTask DisposeAsync()
    {
        Bugs?.Dispose();
        return default;
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Reeve.slnx")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The repository was not found.");
        }

        return folder.FullName;
    }
}
