namespace Reeve.Reliability;

/// <summary>
/// One entry for two uses: the tests of <c>./test</c>, and with <c>scoreboard</c> as first argument the harnesses at
/// the size that <c>bench/reliability</c> asks for.
/// </summary>
internal static class Program
{
    private static Task<int> Main(string[] args) => args is ["scoreboard", .. var rest]
        ? Scoreboard.RunAsync(rest)
        : Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(args);
}
