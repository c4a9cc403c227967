using System.Text;
using Reeve.Reliability.Kill;
using Reeve.Reliability.Load;
using Reeve.Server;
using Reeve.Server.Runs;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Points;

public sealed class PointHarnessTests
{
    [Fact]
    public async Task Error_AtEachPoint_LeavesEveryRunEndedAndNothingHeld()
    {
        var score = await PointHarness.ThrowAsync();

        TestContext.Current.TestOutputHelper!.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }

    [Fact]
    public async Task Kill_AtSomeOfThePoints_LosesNothing()
    {
        var score = await KillHarness.RunPointsAsync(new Trial(Scale.Test, 1, static _ => { }));

        TestContext.Current.TestOutputHelper!.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }

    [Theory]
    [InlineData("storage.before_commit=delay:40")]
    [InlineData("loop.delta=delay:30; stream.before_flush=delay:10@2")]
    public async Task Delay_AtAPoint_OnlyTakesLonger(string failpoints)
    {
        await using var provider = await MockProvider.StartAsync();
        await using var slot = new ServerSlot();
        provider.Configure(slot.Folder);
        await slot.StartAsync(failpoints);
        var agent = await slot.NewAgentAsync();

        await Task.WhenAll(Enumerable.Range(0, 4).Select(index => RunAsync(slot, agent, index)));

        await AssertSoundAsync(slot);
    }

    [Fact]
    public async Task Stop_AtAPoint_GoesOnWhereItStood()
    {
        await using var provider = await MockProvider.StartAsync();
        await using var slot = new ServerSlot();
        provider.Configure(slot.Folder);
        await slot.StartAsync($"{Failpoints.LoopDelta}=stop@3");
        var agent = await slot.NewAgentAsync();

        var runs = Task.WhenAll(Enumerable.Range(0, 4).Select(index => RunAsync(slot, agent, index)));
        await Eventually.TrueAsync(() => slot.Process.IsStopped);
        Assert.False(runs.IsCompleted);
        await slot.Process.SignalAsync("CONT");

        await runs;
        await AssertSoundAsync(slot);
    }

    [Fact]
    public async Task Stop_FromOutside_ForASecondWhileRunsGoOn_LosesNothing()
    {
        await using var provider = await MockProvider.StartAsync();
        await using var slot = new ServerSlot();
        provider.Configure(slot.Folder);
        await slot.StartAsync();
        var agent = await slot.NewAgentAsync();

        var runs = Task.WhenAll(Enumerable.Range(0, 6).Select(index => RunAsync(slot, agent, index, pause: 40)));
        await Eventually.TrueAsync(() => provider.Calls >= 3);
        await slot.Process.SignalAsync("STOP");
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, TestContext.Current.CancellationToken);
        await slot.Process.SignalAsync("CONT");

        await runs;
        await AssertSoundAsync(slot);
    }

    [Fact]
    public async Task Replay_OfALongRun_IsSentInPieces()
    {
        const int Pieces = 60;
        await using var provider = await MockProvider.StartAsync();
        await using var scenarios = await PointScenarios.StartAsync(provider, static (_, _) => false);
        var stream = await scenarios.StreamAsync(
            Dialect.Mesh, new MockPrompt { Pieces = Pieces, Text = MockText.Big, Size = 4_000 });
        scenarios.IsArmed = true;

        var replay = await stream.ReplayAsync(scenarios.Server.Url, TestContext.Current.CancellationToken);

        Assert.Equal(Encoding.UTF8.GetString(stream.Bytes), Encoding.UTF8.GetString(replay!));
        Assert.InRange(scenarios.Hits[Failpoints.StreamFlushed], Pieces * 4_000 / (48 * 1024), Pieces);
    }

    private static async Task RunAsync(ServerSlot slot, string agent, int index, int pause = 2)
    {
        var dialect = index % 2 == 0 ? Dialect.Mesh : Dialect.Auteryn;
        var stream = new StreamClient(slot.Http, agent);
        var input = new MockPrompt { Pieces = 6, Pause = pause, Tools = 1 }.Input($"run {index}");
        Assert.Equal(StreamRead.Ended, await stream.StartAsync(
            slot.Process.Url, dialect, input, null, cancellationToken: TestContext.Current.CancellationToken));
        Assert.Null(stream.Problem);
        Assert.Equal(stream.Bytes, await stream.ReplayAsync(
            slot.Process.Url, TestContext.Current.CancellationToken));
    }

    private static async Task AssertSoundAsync(ServerSlot slot)
    {
        Assert.Equal(0, await slot.TerminateAsync());
        Assert.Empty(slot.Read(new Verifier().Check));
        Assert.Equal(0, slot.Read(static session => session.Count("SELECT sum(held) FROM balances")));
    }
}
