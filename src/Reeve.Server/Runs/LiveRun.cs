using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// A run that is open in this process: the owner's side of its log, and the tail that readers follow without touching
/// the database.
/// </summary>
/// <remarks>
/// The owner (one loop at a time) alone changes State, LastSeq and LastHash; the writer's thread alone publishes.
/// Readers
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
    private volatile bool _isBroken;

    /// <param name="head">Whose run it is.</param>
    /// <param name="state">What its log says so far.</param>
    /// <param name="key">Encrypts what it says, from its first event on; null: that lies open.</param>
    internal LiveRun(RunHead head, RunState state, ContentKey? key)
    {
        (Head, State, Key, Epoch, LastHash) = (head, state, key, 1, RunEventCodec.ChainStart);
    }

    internal RunHead Head { get; }

    /// <summary>
    /// Held while a waiting run gets its turn, is cancelled or taken over, so that it cannot be two of these.
    /// </summary>
    internal SemaphoreSlim Turn { get; } = new(1);

    internal string RunId => Head.RunId;

    internal ContentKey? Key { get; }

    internal RunState State { get; private set; }

    internal int Epoch { get; private set; }

    internal long LastSeq { get; private set; }

    internal byte[] LastHash { get; private set; }

    /// <summary>
    /// Set when an append was lost, or an error came between sealing events and queueing them: nothing more may be
    /// written before the log was read again.
    /// </summary>
    internal bool IsBroken
    {
        get => _isBroken;
        set => _isBroken = value;
    }

    /// <summary>
    /// The final state, once the terminal event is durable. An async method, so that whoever waits with a deadline goes
    /// on at once on his own scheduler.
    /// </summary>
    internal async Task<RunState> EndAsync() => await _ended.Task;

    /// <summary>Fires when somebody cancelled the run or the server stops.</summary>
    internal CancellationToken Cancellation => _cancellation.Token;

    internal bool IsCancelRequested => _isCancelRequested;

    internal bool IsStopped { get; private set; }

    internal long CommittedSeq { get; private set; }

    internal void RequestCancel()
    {
        _isCancelRequested = true;
        _cancellation.Cancel();
    }

    /// <summary>
    /// The server stops: the owner lets go and writes nothing more; the next start takes the run over.
    /// </summary>
    internal void Stop()
    {
        IsStopped = true;
        _cancellation.Cancel();
    }

    /// <summary>A text as a column of the run's row holds it: encrypted, or as it is.</summary>
    internal object? Stored(string column, string? text) =>
        Key is not null && text is not null ? Key.Seal(column, RunId, text) : text;

    /// <summary>Moves the owner's side past events that it has sealed.</summary>
    internal void Advance(IReadOnlyList<RunEvent> events)
    {
        foreach (var entry in events)
        {
            State.Apply(entry);
        }

        LastSeq = events[^1].Seq;
        LastHash = events[^1].Hash;
    }

    /// <summary>
    /// A new owner begins from what the log holds. Readers keep their place; what was durable without anybody having
    /// heard of it is published now.
    /// </summary>
    internal void Reclaim(int epoch, RunState state, IReadOnlyList<RunEvent> log)
    {
        (Epoch, State, LastSeq, LastHash, IsBroken) = (epoch, state, log[^1].Seq, log[^1].Hash, false);
        var unheard = log.Where(entry => entry.Seq > CommittedSeq).ToList();
        if (unheard.Count > 0)
        {
            Publish(unheard);
        }
    }

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

        changed?.TrySetResult();
        if (events[^1].IsTerminal)
        {
            _ended.TrySetResult(State);
        }
    }

    /// <summary>
    /// Adds the committed events after <paramref name="seq"/>; false: the tail does not reach back that far.
    /// </summary>
    internal bool TryRead(long seq, List<RunEvent> into)
    {
        lock (_lock)
        {
            if (CommittedSeq > 0 && seq >= CommittedSeq)
            {
                return true;
            }

            // Nothing was published yet: the log may hold the first events, whose news is on its way.
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

    public void Dispose()
    {
        _cancellation.Dispose();
        Turn.Dispose();
    }
}
