namespace Reeve.Server.Runs;

/// <summary>
/// A run that is open in this process: the owner's side of its log, and the tail that readers follow without touching
/// the database.
/// </summary>
/// <remarks>
/// The owner (one loop at a time) alone changes State, LastSeq and LastHash; the writer's thread alone publishes. Readers
/// see committed events only.
/// </remarks>
internal sealed class LiveRun : IDisposable
{
    private const int TailBytesMax = 1 << 20;

    private readonly Lock _lock = new();
    private readonly List<RunEvent> _tail = [];
    private readonly TaskCompletionSource<RunState> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _cancellation = new();
    private TaskCompletionSource? _changed;
    private int _tailBytes;
    private volatile bool _isCancelRequested;

    internal LiveRun(RunHead head, RunState state, int epoch, long lastSeq, byte[] lastHash)
    {
        (Head, State, Epoch, LastSeq, LastHash, CommittedSeq) = (head, state, epoch, lastSeq, lastHash, lastSeq);
    }

    internal RunHead Head { get; }

    internal string RunId => Head.RunId;

    internal RunState State { get; }

    internal int Epoch { get; }

    internal long LastSeq { get; set; }

    internal byte[] LastHash { get; set; }

    /// <summary>Set on the writer's thread when an append was lost: nothing after it may be written.</summary>
    internal bool IsBroken { get; set; }

    /// <summary>The final state, once the terminal event is durable.</summary>
    internal Task<RunState> Ended => _ended.Task;

    /// <summary>Fires when somebody cancelled the run or the server stops.</summary>
    internal CancellationToken Cancellation => _cancellation.Token;

    internal bool IsCancelRequested => _isCancelRequested;

    internal long CommittedSeq { get; private set; }

    /// <summary>What to close when the owner gives the run up: the loop's start, for the queue.</summary>
    internal void RequestCancel()
    {
        _isCancelRequested = true;
        _cancellation.Cancel();
    }

    internal void Stop() => _cancellation.Cancel();

    internal void Publish(IReadOnlyList<RunEvent> events)
    {
        TaskCompletionSource? changed;
        lock (_lock)
        {
            _tail.AddRange(events);
            foreach (var entry in events)
            {
                _tailBytes += entry.Payload.Length;
            }

            var dropped = 0;
            while (_tailBytes > TailBytesMax && dropped < _tail.Count - 1)
            {
                _tailBytes -= _tail[dropped++].Payload.Length;
            }

            _tail.RemoveRange(0, dropped);
            CommittedSeq = events[^1].Seq;
            (changed, _changed) = (_changed, null);
        }

        changed?.SetResult();
        if (events[^1].IsTerminal)
        {
            _ended.SetResult(State);
        }
    }

    /// <summary>Adds the committed events after <paramref name="seq"/>; false: the tail does not reach back that far.</summary>
    internal bool TryRead(long seq, List<RunEvent> into)
    {
        lock (_lock)
        {
            if (seq >= CommittedSeq)
            {
                return true;
            }

            if (_tail.Count == 0 || _tail[0].Seq > seq + 1)
            {
                return false;
            }

            into.AddRange(_tail.Skip((int)(seq + 1 - _tail[0].Seq)));
            return true;
        }
    }

    /// <summary>Completes when something after <paramref name="seq"/> is committed.</summary>
    internal Task ChangedAsync(long seq)
    {
        lock (_lock)
        {
            return seq < CommittedSeq
                ? Task.CompletedTask
                : (_changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    public void Dispose() => _cancellation.Dispose();
}
