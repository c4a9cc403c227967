namespace Reeve.Bench;

/// <summary>What a server costs when it does nothing: its start, its memory, its silent streams.</summary>
/// <remarks>
/// <c>settle</c>: for what is still under way (compilation, buffers given back) to end before memory is read.
/// </remarks>
internal sealed class Footprint(ServerProcess mock, TimeSpan settle, TimeProvider time, Action<string> say)
{
    private const int Starts = 5;
    private const int HeldStreams = 2_000;
    private const int WarmUpStreams = 64;
    private const int WarmUpRounds = 2;
    private const double Megabyte = 1024 * 1024;

    internal async Task<FootprintResult> MeasureAsync(
        ServerCommand command, Func<ServerProcess, Target> targetOn, long peakBytes,
        CancellationToken cancellationToken)
    {
        say($"cold start: {command.Name}");
        var starts = new List<double>();
        for (var i = 1; i < Starts; i++)
        {
            await using var started = await ServerProcess.StartAsync(command, time, cancellationToken);
            starts.Add(started.ReadyAfter.TotalMilliseconds);
        }

        await using var server = await ServerProcess.StartAsync(command, time, cancellationToken);
        starts.Add(server.ReadyAfter.TotalMilliseconds);
        await Task.Delay(settle, time, cancellationToken);
        var idle = server.ResidentBytes;

        say($"held streams: {command.Name}");
        var (before, held, released) = await HoldAsync(targetOn(server), cancellationToken);
        return new FootprintResult
        {
            Server = command.Name,
            ColdStartMilliseconds = starts.Order().ElementAt(Starts / 2),
            PeakMegabytes = peakBytes / Megabyte,
            IdleMegabytes = idle / Megabyte,
            HeldStreams = HeldStreams,
            HeldMegabytes = held / Megabyte,
            BytesPerHeldStream = (double)(held - before) / HeldStreams,
            ReleasedMegabytes = released / Megabyte,
        };
    }

    private async Task<(long Before, long Held, long Released)> HoldAsync(
        Target target, CancellationToken cancellationToken)
    {
        using var load = new StreamLoad(time);
        await load.WarmUpAsync(target, WarmUpStreams, WarmUpRounds, cancellationToken);
        await Task.Delay(settle, time, cancellationToken);
        var before = target.Server.ResidentBytes;

        var streams = await load.HoldAsync(target, HeldStreams, cancellationToken);
        try
        {
            await Task.Delay(settle, time, cancellationToken);
            var held = target.Server.ResidentBytes;
            await load.ReleaseAsync(mock, streams, cancellationToken);
            await Task.Delay(settle, time, cancellationToken);
            return (before, held, target.Server.ResidentBytes);
        }
        finally
        {
            foreach (var stream in streams)
            {
                stream.Dispose();
            }
        }
    }
}
