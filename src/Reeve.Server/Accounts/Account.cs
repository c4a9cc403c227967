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
