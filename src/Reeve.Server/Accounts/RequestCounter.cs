namespace Reeve.Server.Accounts;

/// <summary>
/// How many requests came in the current minute and the current month, the one being counted included.
/// </summary>
internal readonly record struct RequestTally(long InMinute, long InMonth);

/// <summary>
/// What a key used in one month, to be written down: an absolute number, so that writing it twice is safe.
/// </summary>
internal readonly record struct MonthCount(int Month, long Requests, DateTimeOffset LastUsedAt);

/// <summary>
/// Counts the requests of one account or key; windows are fixed Unix minutes and calendar months in UTC.
/// </summary>
internal sealed class RequestCounter(int month, long requestsInMonth)
{
    private readonly Lock _lock = new();
    private long _minute;
    private long _inMinute;
    private int _month = month;
    private long _inMonth = requestsInMonth;
    private DateTimeOffset _lastUsedAt;
    private bool _unwritten;
    private MonthCount? _unwrittenOfLastMonth;

    /// <summary>When the last request came; the default when none came since the server started.</summary>
    internal DateTimeOffset LastUsedAt
    {
        get
        {
            lock (_lock)
            {
                return _lastUsedAt;
            }
        }
    }

    internal static int MonthOf(DateTimeOffset time) => (time.Year * 12) + time.Month - 1;

    internal RequestTally Count(DateTimeOffset now)
    {
        var minute = now.ToUnixTimeSeconds() / 60;
        var month = MonthOf(now);
        lock (_lock)
        {
            if (minute != _minute)
            {
                _minute = minute;
                _inMinute = 0;
            }

            if (month != _month)
            {
                _unwrittenOfLastMonth = _unwritten ? new MonthCount(_month, _inMonth, _lastUsedAt) : null;
                _month = month;
                _inMonth = 0;
            }

            _unwritten = true;
            _lastUsedAt = now;
            return new RequestTally(++_inMinute, ++_inMonth);
        }
    }

    /// <summary>Adds what has not been taken yet to <paramref name="counts"/>.</summary>
    internal void TakeUnwritten(string keyId, List<(string KeyId, MonthCount Count)> counts)
    {
        lock (_lock)
        {
            if (_unwrittenOfLastMonth is { } last)
            {
                counts.Add((keyId, last));
                _unwrittenOfLastMonth = null;
            }

            if (_unwritten)
            {
                counts.Add((keyId, new MonthCount(_month, _inMonth, _lastUsedAt)));
                _unwritten = false;
            }
        }
    }
}
