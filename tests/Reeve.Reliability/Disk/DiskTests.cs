namespace Reeve.Reliability.Disk;

public sealed class DiskTests
{
    [Fact]
    public async Task FullDisk_UnderLoad_LosesNothingAndRecoversByItself()
    {
        Assert.SkipWhen(SmallDisk.Missing() is not null, "Mounting a small disk needs root on Linux.");
        AssertClean(await FullDisk.RunAsync("full"));
    }

    [Fact]
    public async Task ReadOnlyDisk_IsRefusedInOneSentence()
    {
        Assert.SkipWhen(SmallDisk.Missing() is not null, "Mounting a small disk needs root on Linux.");
        AssertClean(await ReadOnlyDisk.RunAsync());
    }

    [Fact]
    public async Task DamagedFile_IsReportedAndCrashesNothing() =>
        AssertClean(await DamagedFile.RunAsync(count: 20, seed: 1));

    [Theory]
    [InlineData("fsync eio 1", true, true)]
    [InlineData("pwrite eio 100", false, false)]
    [InlineData("fsync 2000 1", true, false)]
    public async Task FaultyDisk_UnderLoad_LosesNothingAndRecoversByItself(
        string rule, bool hitsAll, bool isKilledInTrouble)
    {
        var (faults, missing) = await DiskFaults.CompileAsync();
        Assert.SkipWhen(faults is null, missing ?? "");
        using (faults)
        {
            AssertClean(await FaultyDisk.RunAsync(faults, rule, hitsAll, isKilledInTrouble, "faulty"));
        }
    }

    private static void AssertClean((string Figures, List<string> Problems) result)
    {
        TestContext.Current.TestOutputHelper!.WriteLine(result.Figures);
        Assert.True(result.Problems.Count == 0, string.Join('\n', result.Problems));
    }
}
