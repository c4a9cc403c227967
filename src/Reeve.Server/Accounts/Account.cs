using System.Text.Json;

namespace Reeve.Server.Accounts;

internal sealed record Account
{
    internal required string Id { get; init; }

    internal required string Name { get; init; }

    /// <summary><c>free</c>, <c>starter</c>, <c>pro</c> or <c>enterprise</c>.</summary>
    internal required string Plan { get; init; }

    /// <summary><c>active</c>, <c>suspended</c> or <c>closed</c>.</summary>
    internal required string Status { get; init; }

    /// <summary>The first account; its admin keys reach the others.</summary>
    internal required bool IsOperator { get; init; }

    internal required UsageLimits Limits { get; init; }

    internal required JsonElement Metadata { get; init; }

    internal required DateTimeOffset CreatedAt { get; init; }
}

internal static class AccountStatuses
{
    internal const string Active = "active";
    internal const string Suspended = "suspended";
    internal const string Closed = "closed";

    internal static readonly string[] All = [Active, Suspended, Closed];
}

internal static class AccountPlans
{
    internal const string Free = "free";
    internal const string Starter = "starter";
    internal const string Pro = "pro";
    internal const string Enterprise = "enterprise";

    internal static readonly string[] All = [Free, Starter, Pro, Enterprise];

    internal static int RequestsPerMinute(string plan, ReeveOptions options) => plan switch
    {
        Free => options.Limits.FreeRequestsPerMinute,
        Starter => options.Limits.StarterRequestsPerMinute,
        Pro => options.Limits.ProRequestsPerMinute,
        _ => options.Limits.EnterpriseRequestsPerMinute,
    };
}
