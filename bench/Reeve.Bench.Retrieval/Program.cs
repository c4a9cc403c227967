using System.Runtime.InteropServices;
using Reeve.Bench;
using Reeve.Bench.Retrieval;

RetrievalOptions? options;
try
{
    options = RetrievalOptions.Parse(args);
}
catch (ArgumentException problem)
{
    await Console.Error.WriteLineAsync(problem.Message);
    await Console.Error.WriteLineAsync(RetrievalOptions.Help);
    return ExitStatus.Usage;
}

if (options is null)
{
    await Console.Out.WriteLineAsync(RetrievalOptions.Help);
    return ExitStatus.Ok;
}

using var stop = new CancellationTokenSource();
void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}

using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
try
{
    await new RetrievalSuite(options, TimeProvider.System).RunAsync(stop.Token);
    return ExitStatus.Ok;
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
