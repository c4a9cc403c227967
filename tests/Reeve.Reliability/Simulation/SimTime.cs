namespace Reeve.Reliability.Simulation;

/// <summary>The time of a history: it stands still while anybody computes and jumps to whatever is due next.</summary>
internal sealed class SimClock
{
    private readonly PriorityQueue<SimTimer, (long Due, long Order)> _timers = new();
    private long _order;

    /// <summary>100-nanosecond ticks since the history began.</summary>
    internal long Now { get; private set; }

    internal void Add(SimTimer timer, long due) => _timers.Enqueue(timer, (due, _order++));

    /// <summary>Jumps to the next timer and fires it; false: nothing is due, ever.</summary>
    internal bool Advance()
    {
        while (_timers.TryDequeue(out var timer, out var at))
        {
            if (timer.Due == at.Due)
            {
                Now = Math.Max(Now, at.Due);
                timer.Fire();
                return true;
            }
        }

        return false;
    }
}

/// <summary>The clock as one process sees it: dead, it rings no more.</summary>
internal sealed class SimTime(SimClock clock, Func<bool> isDead) : TimeProvider
{
    internal static readonly DateTimeOffset Start = new(2026, 11, 20, 9, 15, 3, 530, TimeSpan.Zero);

    /// <summary>How wrong this process's wall clock is; its timers are not.</summary>
    internal TimeSpan Skew { get; set; }

    internal SimClock Clock => clock;

    internal bool IsDead => isDead();

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => Start + TimeSpan.FromTicks(clock.Now) + Skew;

    public override long GetTimestamp() => clock.Now;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }
}

internal sealed class SimTimer(SimTime time, TimerCallback callback, object? state) : ITimer
{
    private TimeSpan _period;

    /// <summary>When it rings; negative: never.</summary>
    internal long Due { get; private set; } = -1;

    public bool Change(TimeSpan dueTime, TimeSpan period)
    {
        _period = period;
        if (dueTime < TimeSpan.Zero)
        {
            Due = -1;
            return true;
        }

        Due = time.Clock.Now + dueTime.Ticks;
        time.Clock.Add(this, Due);
        return true;
    }

    internal void Fire()
    {
        if (time.IsDead)
        {
            return;
        }

        Change(_period > TimeSpan.Zero ? _period : Timeout.InfiniteTimeSpan, _period);
        callback(state);
    }

    public void Dispose() => Due = -1;

    public ValueTask DisposeAsync()
    {
        Due = -1;
        return default;
    }
}
