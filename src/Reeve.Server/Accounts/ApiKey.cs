using System.Text.Json.Serialization;

namespace Reeve.Server.Accounts;

/// <summary>Limits of a key or an account; null = none of its own. Months are calendar months in UTC.</summary>
internal sealed record UsageLimits(
    [property: JsonPropertyName("requestsPerMinute")] long? RequestsPerMinute,
    [property: JsonPropertyName("monthlyRequestLimit")] long? MonthlyRequestLimit,
    [property: JsonPropertyName("monthlyUsdLimit")] decimal? MonthlyUsdLimit,
    [property: JsonPropertyName("monthlyTokenLimit")] long? MonthlyTokenLimit)
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

    /// <summary>The one agent that a widget key runs; null for every other kind.</summary>
    internal string? AgentId { get; init; }

    /// <summary>The origins from which a widget key is used; null for every other kind.</summary>
    internal IReadOnlyList<string>? AllowedOrigins { get; init; }

    internal bool IsLive(DateTimeOffset now) => RevokedAt is null && (ExpiresAt is not { } end || end > now);
}

internal static class ApiKeyKinds
{
    internal const string MeshLive = "mesh_live";
    internal const string MeshTest = "mesh_test";
    internal const string AuterynLive = "afk_live";
    internal const string AuterynWidget = "afk_widget";

    internal static readonly string[] All = [MeshLive, MeshTest, AuterynLive, AuterynWidget];
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
