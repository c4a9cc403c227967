using System.Globalization;

namespace Reeve.Server.Accounts;

/// <summary>A limit of requests a minute, and the headers that tell of it (wire-mesh 1.5).</summary>
internal sealed class RateLimit(string name, long perMinute)
{
    internal const int WindowSeconds = 60;

    private readonly string _limit = perMinute.ToString(CultureInfo.InvariantCulture);
    private readonly string _policy = string.Create(CultureInfo.InvariantCulture, $"\"{name}\";q={perMinute};w=60");

    /// <summary>What is left after so many requests in the window; negative when the limit is passed.</summary>
    internal long Left(RequestTally tally) => perMinute - tally.InMinute;

    internal void Describe(IHeaderDictionary headers, long left, long unixSeconds)
    {
        var remaining = Math.Max(0, left);
        var seconds = SecondsToReset(unixSeconds);
        headers["X-RateLimit-Limit"] = _limit;
        headers["X-RateLimit-Remaining"] = remaining.ToString(CultureInfo.InvariantCulture);
        headers["X-RateLimit-Reset"] = (unixSeconds + seconds).ToString(CultureInfo.InvariantCulture);
        headers["RateLimit-Policy"] = _policy;
        headers["RateLimit"] = string.Create(CultureInfo.InvariantCulture, $"\"{name}\";r={remaining};t={seconds}");
    }

    /// <summary>Seconds to the next Unix minute, 1 to 60.</summary>
    internal static int SecondsToReset(long unixSeconds) => WindowSeconds - (int)(unixSeconds % WindowSeconds);
}
