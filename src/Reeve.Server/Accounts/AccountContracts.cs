using System.Text.Json;
using System.Text.Json.Serialization;
using Reeve.Server.Http;

namespace Reeve.Server.Accounts;

/// <summary>A key as the wire shows it; <c>Key</c> is there in the answer that makes it and never again.</summary>
internal sealed record ApiKeyRecord(
    string Id, string Name, string Kind, IReadOnlyList<string> Scopes, string LastFour, UsageLimits Limits,
    DateTimeOffset CreatedAt, DateTimeOffset? LastUsedAt, DateTimeOffset? ExpiresAt, DateTimeOffset? RevokedAt)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? AgentId { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? AllowedOrigins { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Key { get; init; }

    internal static ApiKeyRecord Of(ApiKey key, DateTimeOffset? usedSinceStart) => new(
        key.Id, key.Name, key.Kind, [.. key.Scopes], key.LastFour, key.Limits, key.CreatedAt,
        usedSinceStart ?? key.LastUsedAt, key.ExpiresAt, key.RevokedAt)
    {
        AgentId = key.AgentId,
        AllowedOrigins = key.AllowedOrigins,
    };
}

/// <summary>An account as the wire shows it; <c>Key</c> is its first key, in the answer that makes it.</summary>
internal sealed record AccountRecord(
    string Id, string Name, string Plan, string Status,
    [property: JsonPropertyName("balanceUsd")] decimal BalanceUsd, decimal BalanceCredits, decimal HeldUsd,
    decimal TestBalanceUsd, UsageLimits Limits, JsonElement Metadata, DateTimeOffset CreatedAt)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Key { get; init; }

    internal static AccountRecord Of(Account account, AccountBalances balances, CreditOptions credits) => new(
        account.Id, account.Name, account.Plan, account.Status, Money.Usd(balances.Available),
        Money.Credits(balances.Available, credits.MicroUsdPerCredit), Money.Usd(balances.Held),
        Money.Usd(balances.TestAvailable), account.Limits, account.Metadata, account.CreatedAt);
}

[JsonSerializable(typeof(UsageLimits))]
[JsonSerializable(typeof(ApiKeyRecord))]
[JsonSerializable(typeof(Page<ApiKeyRecord>))]
[JsonSerializable(typeof(AccountRecord))]
[JsonSerializable(typeof(Page<AccountRecord>))]
internal sealed partial class AccountsJson : JsonSerializerContext
{
    internal static readonly AccountsJson Wire = new(ApiJson.Options());
}
