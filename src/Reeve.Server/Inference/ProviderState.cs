namespace Reeve.Server.Inference;

/// <summary>Whether a provider is to be asked.</summary>
internal enum ProviderStanding
{
    Healthy,

    /// <summary>More calls than usual fail; others are asked first.</summary>
    Degraded,

    /// <summary>As many calls are under way as are allowed.</summary>
    Busy,

    /// <summary>The circuit is open: nothing is sent until it has cooled down and one call has tried it.</summary>
    Open,

    /// <summary>The operator has switched it off.</summary>
    Disabled,
}

/// <summary>
/// The circuit of one provider: counts how its calls end, opens when too many fail, and lets a single call through
/// after a while, by whose end it closes or opens again.
/// </summary>
internal sealed class ProviderState(string name, TimeProvider time)
{
    /// <summary>Fewer failures than this open no circuit, whatever their share.</summary>
    internal const int FailuresMin = 5;

    /// <summary>What happened longer ago is forgotten.</summary>
    internal static readonly TimeSpan Window = TimeSpan.FromSeconds(SlotCount * SlotSeconds);

    private const int SlotCount = 6;
    private const int SlotSeconds = 10;
    private const int LatenciesMax = 128;

    private readonly Lock _lock = new();
    private readonly Slot[] _slots = new Slot[SlotCount];
    private readonly Queue<double> _latencies = new(LatenciesMax);
    private int _inFlight;
    private bool _isProbing;
    private TimeSpan? _openUntil;
    private DateTimeOffset? _lastSuccessAt;
    private (string Code, DateTimeOffset At)? _lastError;
    private volatile ProviderSettings _settings = new();

    // By the clock that only goes forward: a wall clock that is set back would leave a circuit open for as long.
    private readonly long _begunAt = time.GetTimestamp();

    private TimeSpan Now => time.GetElapsedTime(_begunAt);

    internal string Name => name;

    internal ProviderSettings Settings
    {
        get => _settings;
        set => _settings = value;
    }

    /// <summary>Whether a call may be made now, and if not, after how long it is worth another look.</summary>
    internal (ProviderStanding Standing, TimeSpan Wait) Look()
    {
        var settings = _settings;
        if (!settings.Enabled)
        {
            return (ProviderStanding.Disabled, TimeSpan.Zero);
        }

        lock (_lock)
        {
            var now = Now;
            if (_openUntil is { } until && (now < until || _isProbing))
            {
                return (ProviderStanding.Open, now < until ? until - now : TimeSpan.FromSeconds(1));
            }

            if (_inFlight >= settings.MaxConcurrency)
            {
                return (ProviderStanding.Busy, TimeSpan.FromSeconds(1));
            }

            // A circuit that has cooled down is tried by the next call: it could not close otherwise.
            return _openUntil is null && IsDegraded(now, settings)
                ? (ProviderStanding.Degraded, TimeSpan.Zero)
                : (ProviderStanding.Healthy, TimeSpan.Zero);
        }
    }

    /// <summary>Begins a call; null when none may be made now.</summary>
    internal ProviderVisit? TryEnter()
    {
        var settings = _settings;
        lock (_lock)
        {
            if (!settings.Enabled || _inFlight >= settings.MaxConcurrency)
            {
                return null;
            }

            var isProbe = false;
            if (_openUntil is { } until)
            {
                if (_isProbing || Now < until)
                {
                    return null;
                }

                _isProbing = isProbe = true;
            }

            _inFlight++;
            return new ProviderVisit(this, isProbe, time.GetTimestamp());
        }
    }

    internal ProviderReport Report()
    {
        var standing = Look().Standing;
        lock (_lock)
        {
            var (calls, failures) = Count(Now);
            var sorted = _latencies.Order().ToArray();
            return new ProviderReport(
                standing, calls == 0 ? 0 : (double)failures / calls, Percentile(sorted, 50), Percentile(sorted, 95),
                _inFlight, _lastSuccessAt, _lastError);
        }
    }

    internal void Leave(ProviderVisit visit, bool? succeeded, ProviderFault? fault)
    {
        lock (_lock)
        {
            _inFlight--;
            if (visit.IsProbe)
            {
                _isProbing = false;
            }

            if (succeeded is null)
            {
                return; // Broken off by the caller: it says nothing of the provider.
            }

            var now = Now;
            ref var slot = ref SlotAt(now);
            slot.Calls++;
            if (succeeded.Value)
            {
                Succeed(visit);
                return;
            }

            slot.Failures++;
            _lastError = (Word(fault!.Value), time.GetUtcNow());
            var (calls, failures) = Count(now);
            var settings = _settings;
            if (visit.IsProbe || (_openUntil is null && failures >= FailuresMin
                && failures > settings.ErrorRate * calls))
            {
                _openUntil = now + TimeSpan.FromMilliseconds(settings.CooldownMilliseconds);
            }
        }
    }

    private void Succeed(ProviderVisit visit)
    {
        _lastSuccessAt = time.GetUtcNow();
        if (_latencies.Count == LatenciesMax)
        {
            _latencies.Dequeue();
        }

        _latencies.Enqueue(time.GetElapsedTime(visit.BegunAt).TotalMilliseconds);
        if (visit.IsProbe)
        {
            _openUntil = null;
            Array.Clear(_slots);
        }
    }

    private bool IsDegraded(TimeSpan now, ProviderSettings settings)
    {
        var (calls, failures) = Count(now);
        return failures >= FailuresMin / 2 && failures > settings.ErrorRate * calls / 2;
    }

    private (int Calls, int Failures) Count(TimeSpan now)
    {
        var oldest = Number(now) - SlotCount;
        var (calls, failures) = (0, 0);
        foreach (var slot in _slots)
        {
            if (slot.Number > oldest)
            {
                calls += slot.Calls;
                failures += slot.Failures;
            }
        }

        return (calls, failures);
    }

    private ref Slot SlotAt(TimeSpan now)
    {
        var number = Number(now);
        ref var slot = ref _slots[number % SlotCount];
        if (slot.Number != number)
        {
            slot = new Slot { Number = number };
        }

        return ref slot;
    }

    // From 1, for a slot that was never used has the number 0.
    private static long Number(TimeSpan now) => 1 + ((long)now.TotalSeconds / SlotSeconds);

    private static double? Percentile(double[] sorted, int percent) => sorted.Length == 0
        ? null
        : sorted[Math.Max(0, ((sorted.Length * percent) + 99) / 100 - 1)];

    private static string Word(ProviderFault fault) => fault switch
    {
        ProviderFault.Unreachable => "unreachable",
        ProviderFault.Timeout => "timeout",
        ProviderFault.RateLimited => "rate_limited",
        ProviderFault.Overloaded => "overloaded",
        ProviderFault.Refused => "refused",
        ProviderFault.Malformed => "malformed",
        _ => "bad_request",
    };

    private struct Slot
    {
        internal long Number;
        internal int Calls;
        internal int Failures;
    }
}

/// <summary>A call under way at a provider. Who leaves without a word was broken off by the caller.</summary>
internal sealed class ProviderVisit(ProviderState provider, bool isProbe, long begunAt) : IDisposable
{
    private bool? _succeeded;
    private ProviderFault? _fault;

    /// <summary>True for the one call that tries a circuit which has cooled down.</summary>
    internal bool IsProbe => isProbe;

    internal long BegunAt => begunAt;

    internal void Succeed() => _succeeded = true;

    /// <summary>A request that does not suit the model is the request's fault and not the provider's.</summary>
    internal void Fail(ProviderFault fault) =>
        (_succeeded, _fault) = (fault == ProviderFault.BadRequest, fault);

    public void Dispose() => provider.Leave(this, _succeeded, _fault);
}

/// <summary>The figures of <c>GET /v1/providers/health</c>; milliseconds, null before the first answer.</summary>
internal sealed record ProviderReport(
    ProviderStanding Standing, double ErrorRate, double? LatencyP50, double? LatencyP95, int InFlight,
    DateTimeOffset? LastSuccessAt, (string Code, DateTimeOffset At)? LastError);
