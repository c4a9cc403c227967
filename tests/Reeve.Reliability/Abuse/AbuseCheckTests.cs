using System.Collections.Concurrent;

namespace Reeve.Reliability.Abuse;

/// <summary>Each check of R22 against a server that has the fault it looks for.</summary>
public sealed class AbuseCheckTests
{
    [Fact]
    public async Task Checks_OfAServerThatTakesAnything_FindItOut()
    {
        using var server = new GullibleServer();
        var brief = TimeSpan.FromMilliseconds(500);

        var framing = await FindAsync(problems => FramingCheck.RunAsync(
            server.Url, FramingCases.All.Where(static one => one.Name.StartsWith("both,", StringComparison.Ordinal)
                || one.Name is "LF alone" or "two lengths that differ"), problems, brief));
        var slow = await FindAsync(problems => SlowConnections.HoldAsync(
            server.Url, [.. Slowness.All.Select(one => one with { LifeMax = brief })], Slowness.All.Count, problems));
        var limits = await FindAsync(problems => LimitCheck.RunAsync(
            server.Url, [.. LimitCases.All().Where(static one => one.Name.StartsWith("65", StringComparison.Ordinal)
                || one.Name.StartsWith("a bomb as gzip", StringComparison.Ordinal))], problems, brief));
        var paths = await FindAsync(problems => PathTricks.RunAsync(server.Url, "agt_0", problems));
        var floods = await FindAsync(problems => Http2Floods.RunAsync(server.Url, 1, problems, brief));

        Assert.Contains(framing, static problem => problem.Contains("both, the length first", StringComparison.Ordinal)
            && problem.Contains("version", StringComparison.Ordinal));
        Assert.Contains(framing, static problem => problem.StartsWith("LF alone", StringComparison.Ordinal));
        Assert.Equal(Slowness.All.Count, slow.Count);
        Assert.Contains(limits, static problem => problem.StartsWith("65 headers", StringComparison.Ordinal));
        Assert.Contains(limits, static problem => problem.StartsWith("a bomb as gzip", StringComparison.Ordinal));
        Assert.Contains(paths, static problem => problem.Contains("it was let in", StringComparison.Ordinal));
        Assert.Contains(floods, static problem => problem.Contains("rapid reset", StringComparison.Ordinal));
    }

    [Fact]
    public async Task SharedConnections_ToAServerThatReadsNoBodies_GiveInnocentCallersTheAnswersOfOthers()
    {
        using var server = new GullibleServer(readsBodies: false);
        using var nginx = await NginxFront.StartAsync(server.Url);
        Assert.SkipWhen(nginx is null, "nginx is not installed.");

        // It takes an innocent caller on the same connection between the two answers.
        var hiding = FramingCases.All.Single(static one => one.Expected == Framing.One);
        var problems = await FindAsync(async found => await SharedConnections.RunAsync(
            nginx!.Lenient, [.. Enumerable.Repeat(hiding, 300)], 1, found));

        Assert.Contains(problems, static problem => problem.StartsWith("an innocent caller", StringComparison.Ordinal));
    }

    private static async Task<List<string>> FindAsync(Func<ConcurrentQueue<string>, Task> check)
    {
        var problems = new ConcurrentQueue<string>();
        await check(problems);
        return [.. problems];
    }
}
