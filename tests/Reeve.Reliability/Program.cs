using System.Globalization;
using Reeve.Reliability.Fuzz.Guided;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability;

/// <summary>
/// One entry for several uses: the tests of <c>./test</c>; with <c>scoreboard</c> the harnesses at the size that
/// <c>bench/reliability</c> asks for; with <c>history SEED</c> one simulated history, turn by turn; with
/// <c>histories FIRST COUNT</c> many, until one breaks an invariant; with <c>fuzz FOLDER</c> what <c>bench/fuzz</c>
/// asks for, and with <c>fuzz-one FOLDER PARSER</c> its part in the instrumented program.
/// </summary>
internal static class Program
{
    private static Task<int> Main(string[] args) => args switch
    {
        ["scoreboard", .. var rest] => Scoreboard.RunAsync(rest),
        ["history", var seed] => Task.FromResult(SimHarness.Replay(ulong.Parse(seed, CultureInfo.InvariantCulture))),
        ["histories", var first, var count] => Task.FromResult(SimHarness.PlayUntilRed(
            ulong.Parse(first, CultureInfo.InvariantCulture), int.Parse(count, CultureInfo.InvariantCulture))),
        ["fuzz", var folder, .. var rest] => GuidedFuzzCommand.RunAsync(folder, rest),
        ["fuzz-one", var folder, var target, .. var rest] => Task.FromResult(
            GuidedFuzzCommand.RunOne(folder, target, rest)),
        _ => Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(args),
    };
}
