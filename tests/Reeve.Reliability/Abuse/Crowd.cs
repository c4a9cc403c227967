namespace Reeve.Reliability.Abuse;

/// <summary>
/// Abusers who come a few at once and take a breath in between. What is looked for is what their requests do, not what
/// a server does when all of its processors are taken: that is R25.
/// </summary>
internal static class Crowd
{
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(10);

    internal static Task EachAsync<T>(IEnumerable<T> cases, int atOnce, Func<T, Task> abuse) =>
        Parallel.ForEachAsync(cases, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (one, _) =>
        {
            await abuse(one);
            await BreatheAsync();
        });

    internal static Task BreatheAsync() => Task.Delay(Breath, TimeProvider.System, CancellationToken.None);
}
