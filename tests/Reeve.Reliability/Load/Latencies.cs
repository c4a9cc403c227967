namespace Reeve.Reliability.Load;

/// <summary>Times that were measured, from many threads.</summary>
internal sealed class Latencies
{
    private readonly List<double> _milliseconds = [];

    internal int Count
    {
        get
        {
            lock (_milliseconds)
            {
                return _milliseconds.Count;
            }
        }
    }

    internal void Add(TimeSpan time)
    {
        lock (_milliseconds)
        {
            _milliseconds.Add(time.TotalMilliseconds);
        }
    }

    /// <summary>The value that this share (0 to 1) of them does not exceed, in milliseconds; 0 when none was.</summary>
    internal double Quantile(double share)
    {
        lock (_milliseconds)
        {
            if (_milliseconds.Count == 0)
            {
                return 0;
            }

            _milliseconds.Sort();
            return _milliseconds[Math.Min(_milliseconds.Count - 1, (int)(share * _milliseconds.Count))];
        }
    }
}
