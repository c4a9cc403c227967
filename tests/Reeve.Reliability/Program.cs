using System.Globalization;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability;

/// <summary>
/// One entry for several uses: the tests of <c>./test</c>; with <c>scoreboard</c> the harnesses at the size that
/// <c>bench/reliability</c> asks for; with <c>history SEED</c> one simulated history, turn by turn; with
/// <c>histories FIRST COUNT</c> many, until one breaks an invariant.
/// </summary>
internal static class Program
{
    private static Task<int> Main(string[] args) => args switch
    {
        ["scoreboard", .. var rest] => Scoreboard.RunAsync(rest),
        ["history", var seed] => Task.FromResult(SimHarness.Replay(ulong.Parse(seed, CultureInfo.InvariantCulture))),
        ["histories", var first, var count] => Task.FromResult(SimHarness.PlayUntilRed(
            ulong.Parse(first, CultureInfo.InvariantCulture), int.Parse(count, CultureInfo.InvariantCulture))),
        _ => Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(args),
    };
}
