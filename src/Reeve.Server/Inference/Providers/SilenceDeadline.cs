namespace Reeve.Server.Inference.Providers;

/// <summary>
/// Cancels a call when its provider says nothing for too long. Only waiting counts, not the time in which we work on
/// what came; and a piece that arrives moves no timer, it is looked at when the timer fires.
/// </summary>
internal sealed class SilenceDeadline : IDisposable
{
    private const long NotWaiting = long.MinValue;

    private readonly Lock _lock = new();
    private readonly TimeSpan _silenceMax;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _source;
    private readonly ITimer _timer;
    private long _waitingSince = NotWaiting;
    private bool _disposed;

    internal SilenceDeadline(TimeSpan silenceMax, TimeProvider time, CancellationToken cancellationToken)
    {
        _silenceMax = silenceMax;
        _time = time;
        _source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _timer = time.CreateTimer(
            static state => ((SilenceDeadline)state!).Look(), this, silenceMax, Timeout.InfiniteTimeSpan);
    }

    internal TimeSpan SilenceMax => _silenceMax;

    internal CancellationToken Token => _source.Token;

    internal bool Expired { get; private set; }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _timer.Dispose();
            _source.Dispose();
        }
    }

    internal void BeginWait() => Volatile.Write(ref _waitingSince, _time.GetTimestamp());

    internal void EndWait() => Volatile.Write(ref _waitingSince, NotWaiting);

    private void Look()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            var since = Volatile.Read(ref _waitingSince);
            var left = since == NotWaiting ? _silenceMax : _silenceMax - _time.GetElapsedTime(since);
            if (left > TimeSpan.Zero)
            {
                _timer.Change(left < TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : left,
                    Timeout.InfiniteTimeSpan);
                return;
            }

            Expired = true;
        }

        // Outside the lock: what waits goes on in here, and its end disposes this.
        try
        {
            _source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The call ended in between; there is nothing left to cancel.
        }
    }
}
