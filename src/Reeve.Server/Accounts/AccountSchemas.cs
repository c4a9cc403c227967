using System.Text.Json.Nodes;
using Reeve.Server.Http;

namespace Reeve.Server.Accounts;

/// <summary>Keys and accounts as the wire shows and takes them (wire-mesh 5.1, 5.2).</summary>
internal static class AccountSchemas
{
    internal static readonly OpenApiSchemas All = new(
        ("ApiKey", Schema.Record(
            ("id", Schema.Id(Id.Key)),
            ("name", Schema.Text()),
            ("kind", Schema.Word(ApiKeyKinds.All)),
            ("scopes", Schema.List(Schema.Word([.. ApiKeyScopes.All]))),
            ("last_four", Schema.Text()),
            ("limits", Schema.Ref("UsageLimits")),
            ("created_at", Schema.Time()),
            ("last_used_at", Schema.Time().OrNull()),
            ("expires_at", Schema.Time().OrNull()),
            ("revoked_at", Schema.Time().OrNull()))
            .Maybe("agent_id", Schema.Id(Id.Agent).About("The one agent of a widget key."))
            .Maybe("allowed_origins", Schema.List(Schema.Text()))
            .Maybe("key", Schema.Text().About("The key itself, in the answer that makes it and never again."))),
        ("ApiKeyCreate", Schema.Body(
            ["name", "scopes"],
            ("name", Schema.Text(1, 100)),
            ("scopes", Schema.List(Schema.Word([.. ApiKeyScopes.All]), 1, 100)),
            ("kind", Schema.Word(ApiKeyKinds.All)),
            ("limits", Schema.Ref("UsageLimitsInput")),
            ("expires_at", Schema.Text(1, 64).About("RFC 3339, in the future.")),
            ("agent_id", Schema.Text(1, 256).About("Required for a widget key, refused for others.")),
            ("allowed_origins", Schema.List(Schema.Text(1, 256), 1, 50)
                .About("Required for a widget key, refused for others; as in https://example.com.")))),
        ("UsageLimits", Schema.Record(
            ("requestsPerMinute", Schema.Integer(1).OrNull()),
            ("monthlyRequestLimit", Schema.Integer(1).OrNull()),
            ("monthlyUsdLimit", Schema.Number(0).OrNull()),
            ("monthlyTokenLimit", Schema.Integer(1).OrNull()))),
        ("UsageLimitsInput", Limits()),
        ("Account", Schema.Record(
            ("id", Schema.Id(Id.Account)),
            ("name", Schema.Text()),
            ("plan", Schema.Word(AccountPlans.All)),
            ("status", Schema.Word(AccountStatuses.All)),
            ("balanceUsd", Schema.Number().About("What is available, holds deducted.")),
            ("balance_credits", Schema.Number()),
            ("held_usd", Schema.Number(0)),
            ("test_balance_usd", Schema.Number()),
            ("limits", Schema.Ref("UsageLimits")),
            ("metadata", Schema.Free()),
            ("created_at", Schema.Time()))
            .Maybe("key", Schema.Text().About("The account's first key, in the answer that makes it."))),
        ("AccountCreate", Schema.Body(
            ["name"],
            ("name", Schema.Text(1, 100)),
            ("plan", Schema.Word(AccountPlans.All)),
            ("limits", Schema.Ref("UsageLimitsInput")))),
        ("AccountChange", Schema.Change(
            ["name"],
            ("name", Schema.Text(1, 100)),
            ("plan", Schema.Word(AccountPlans.All)),
            ("status", Schema.Word(AccountStatuses.All)),
            ("metadata", Schema.Metadata()))));

    private static JsonObject Limits() => Schema.Body(
        [],
        ("requestsPerMinute", Schema.Integer(1, UsageLimitsBody.CountMax)),
        ("monthlyRequestLimit", Schema.Integer(1, UsageLimitsBody.CountMax)),
        ("monthlyUsdLimit", Schema.Number(0.000001m, UsageLimitsBody.UsdMax)),
        ("monthlyTokenLimit", Schema.Integer(1, UsageLimitsBody.CountMax)))
        .About("What is given is changed, null removes a limit.");
}
