namespace Reeve.Reliability.Privacy;

public sealed class CanaryTests
{
    [Fact]
    public async Task Secrets_AreNowhere()
    {
        var score = await CanaryHarness.RunAsync(new Trial(Scale.Test, 1, static _ => { }));

        TestContext.Current.TestOutputHelper!.WriteLine(score.Figures);
        Assert.True(score.Trials >= 40, score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }

    /// <summary>What everybody may see is there for each sink, so that each is really looked into.</summary>
    [Fact]
    public async Task Harness_WithSomethingThatIsInEachSink_FindsItThere()
    {
        (Sinks Sink, string Text)[] there =
        [
            (Sinks.Log, " failed (Refused)"), (Sinks.Error, "\"request_id\""), (Sinks.Answer, "event: run.completed"),
            (Sinks.Others, "\"has_more\""), (Sinks.Export, "\"latency_ms\""), (Sinks.Webhook, "\"receipt_id\""),
            (Sinks.Provider, "\"max_tokens\""), (Sinks.Folder, "SQLite format 3"),
        ];
        var canaries = new Canaries();
        foreach (var (sink, text) in there)
        {
            canaries.Add($"what is in {sink}", text);
        }

        var score = await CanaryHarness.RunAsync(canaries, new Trial(Scale.Test, 1, static _ => { }));

        Assert.All(there, one => Assert.Contains(score.Problems, problem => problem.StartsWith(
            $"what is in {one.Sink} is in ", StringComparison.Ordinal)
            && problem.Contains($"({one.Sink})", StringComparison.Ordinal)));
    }
}
