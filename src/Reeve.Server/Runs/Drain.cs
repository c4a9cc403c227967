using Reeve.Server.Http;

namespace Reeve.Server.Runs;

/// <summary>
/// Stops a server in this order: not ready and nothing new taken (503 with Retry-After); runs let go and streams closed
/// after a whole frame; only then does it stop to listen. Whoever asks in between is told to come again, not cut off.
/// </summary>
internal sealed class Drain(
    RunHost host, Capacity capacity, IHostApplicationLifetime lifetime) : IHostedLifecycleService
{
    // Together twice the time that a reader has to take the end of its stream.
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(5);
    private static readonly int LooksMax = (int)(2 * SseWriter.ClosingDeadline / Look);

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Comes before anything is stopped, the listener too.</summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        lifetime.StopApplication(); // So that it is the same whoever asked to stop.
        await host.StopAsync(cancellationToken);
        for (var looks = 0; capacity.Streams.Taken > 0 && looks < LooksMax; looks++)
        {
            await Task.Delay(Look, TimeProvider.System, CancellationToken.None);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
