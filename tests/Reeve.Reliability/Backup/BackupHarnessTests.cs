namespace Reeve.Reliability.Backup;

public sealed class BackupHarnessTests
{
    [Fact]
    public async Task Backups_OfABusyServer_RestoreToOneThatGoesOn()
    {
        var score = await BackupHarness.RunAsync(new Trial(Scale.Test, 1, static _ => { }));

        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }
}
