using Reeve.Server.Http;

namespace Reeve.Server.Accounts;

/// <summary>Reads limits from a body: each a positive number or null (wire-mesh 5.1).</summary>
internal static class UsageLimitsBody
{
    internal const long CountMax = 1_000_000_000_000;
    private const decimal UsdMin = 0.000001m;
    internal const decimal UsdMax = 1_000_000_000m;

    /// <summary>The limits after the body: what it names is replaced, null removes, the rest stays.</summary>
    internal static UsageLimits Merge(RequestObject body, UsageLimits limits) => new(
        Merge(body, "requestsPerMinute", limits.RequestsPerMinute),
        Merge(body, "monthlyRequestLimit", limits.MonthlyRequestLimit),
        body.Has("monthlyUsdLimit") ? body.Number("monthlyUsdLimit", UsdMin, UsdMax, 6) : limits.MonthlyUsdLimit,
        Merge(body, "monthlyTokenLimit", limits.MonthlyTokenLimit));

    /// <summary>The member <c>limits</c> of a body that makes something.</summary>
    internal static UsageLimits Read(RequestObject body) =>
        body.Object("limits") is { } limits ? Merge(limits, UsageLimits.None) : UsageLimits.None;

    private static long? Merge(RequestObject body, string name, long? limit) =>
        body.Has(name) ? body.Integer(name, 1, CountMax) : limit;
}
