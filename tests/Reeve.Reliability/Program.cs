using System.Globalization;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability;

/// <summary>
/// One entry for three uses: the tests of <c>./test</c>; with <c>scoreboard</c> the harnesses at the size that
/// <c>bench/reliability</c> asks for; with <c>history SEED</c> one simulated history, turn by turn.
/// </summary>
internal static class Program
{
    private static Task<int> Main(string[] args) => args switch
    {
        ["scoreboard", .. var rest] => Scoreboard.RunAsync(rest),
        ["history", var seed] => Task.FromResult(SimHarness.Replay(ulong.Parse(seed, CultureInfo.InvariantCulture))),
        _ => Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(args),
    };
}
