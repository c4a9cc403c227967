using System.Runtime.InteropServices;
using Reeve.Bench;

BenchOptions? options;
try
{
    options = BenchOptions.Parse(args);
}
catch (ArgumentException problem)
{
    await Console.Error.WriteLineAsync(problem.Message);
    await Console.Error.WriteLineAsync(BenchOptions.Help);
    return ExitStatus.Usage;
}

if (options is null)
{
    await Console.Out.WriteLineAsync(BenchOptions.Help);
    return ExitStatus.Ok;
}

// Every signal that would end the driver ends its servers first.
using var stop = new CancellationTokenSource();
void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}

using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop);
try
{
    var report = await new Suite(options, TimeProvider.System).RunAsync(stop.Token);
    await Console.Out.WriteLineAsync(MarkdownReport.Render(report));
    await Outputs.WriteAsync(options, report, stop.Token);
    if (report.Accepted)
    {
        return ExitStatus.Ok;
    }

    await Console.Error.WriteLineAsync(
        $"Rejected: the first and the last measurement of the pass-through differ by {report.DriftPercent:F1} %, "
        + $"more than {BenchReport.DriftPercentMax} %. The machine was busy with something else; run it again.");
    return ExitStatus.Rejected;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    await Console.Error.WriteLineAsync("Stopped.");
    return ExitStatus.Stopped;
}
catch (Exception problem) when (problem is BenchException or HttpRequestException or IOException)
{
    await Console.Error.WriteLineAsync($"Failed: {problem.Message}");
    return ExitStatus.Failed;
}
