using Reeve.Server.Tests.Process;

namespace Reeve.Reliability.Abuse;

/// <summary>How much memory a process has taken since the watch began.</summary>
internal sealed class MemoryWatch : IDisposable
{
    private const int Mebibyte = 1 << 20;

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);

    private readonly CancellationTokenSource _stop = new();
    private readonly ReeveProcess _process;
    private readonly long _before;
    private readonly Task<long> _watching;

    internal MemoryWatch(ReeveProcess process)
    {
        (_process, _before) = (process, process.ResidentBytes);
        _watching = Task.Run(WatchAsync);
    }

    /// <summary>What it has now beyond what it had at first, in MiB.</summary>
    internal long Mebibytes => (_process.ResidentBytes - _before) / Mebibyte;

    /// <summary>Ends the watch; the most that it ever had beyond what it had at first, in MiB.</summary>
    internal async Task<long> EndAsync()
    {
        await _stop.CancelAsync();
        return await _watching;
    }

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private async Task<long> WatchAsync()
    {
        var most = 0L;
        while (!_stop.IsCancellationRequested)
        {
            most = Math.Max(most, Mebibytes);
            await Task.Delay(Look, TimeProvider.System, CancellationToken.None);
        }

        return most;
    }
}
