namespace Reeve.Server.Accounts;

/// <summary>Limits of a key or an account; null = none of its own. Months are calendar months in UTC.</summary>
internal sealed record UsageLimits(
    long? RequestsPerMinute, long? MonthlyRequestLimit, decimal? MonthlyUsdLimit, long? MonthlyTokenLimit)
{
    internal static readonly UsageLimits None = new(null, null, null, null);
}

internal sealed record ApiKey
{
    internal required string Id { get; init; }

    internal required string Name { get; init; }

    internal required string Kind { get; init; }

    internal required IReadOnlySet<string> Scopes { get; init; }

    internal required string LastFour { get; init; }

    internal required UsageLimits Limits { get; init; }

    internal required DateTimeOffset CreatedAt { get; init; }

    internal DateTimeOffset? LastUsedAt { get; init; }

    internal DateTimeOffset? ExpiresAt { get; init; }

    internal DateTimeOffset? RevokedAt { get; init; }
}

internal static class ApiKeyKinds
{
    internal const string MeshLive = "mesh_live";
    internal const string MeshTest = "mesh_test";
    internal const string AuterynLive = "afk_live";
    internal const string AuterynWidget = "afk_widget";
}

internal static class ApiKeyScopes
{
    internal const string Chat = "chat";
    internal const string Usage = "usage";
    internal const string Admin = "admin";
    internal const string Agents = "agents";
    internal const string Keys = "keys";
    internal const string Approvals = "approvals";

    internal static readonly IReadOnlyList<string> All = [Chat, Usage, Admin, Agents, Keys, Approvals];
}
