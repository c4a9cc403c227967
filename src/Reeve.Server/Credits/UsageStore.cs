using Reeve.Server.Storage;

namespace Reeve.Server.Credits;

/// <summary>A model call that ended, as <c>GET /v1/usage</c> sums it. Amounts are micro-USD.</summary>
internal sealed record UsageRow
{
    internal required string RunId { get; init; }

    internal required int Call { get; init; }

    internal required string? AgentId { get; init; }

    internal required string? UserId { get; init; }

    internal required string Model { get; init; }

    internal required string Provider { get; init; }

    internal required long InputTokens { get; init; }

    internal required long OutputTokens { get; init; }

    internal required long Upstream { get; init; }

    internal required long Margin { get; init; }

    internal required long Lost { get; init; }

    internal required DateTimeOffset At { get; init; }
}

internal static class UsageStore
{
    internal static void Insert(DbSession session, Payer payer, UsageRow row) => session.Execute(
        "INSERT INTO model_calls (run_id, call, account_id, agent_id, key_id, user_id, mode, model, provider, "
        + "input_tokens, output_tokens, upstream, margin, lost, at) "
        + "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        row.RunId, row.Call, payer.AccountId, row.AgentId, payer.KeyId, row.UserId, payer.Mode, row.Model, row.Provider,
        row.InputTokens, row.OutputTokens, row.Upstream, row.Margin, row.Lost, row.At.ToUnixTimeMilliseconds());

    /// <summary>
    /// Sums by one of <c>day</c>, <c>model</c>, <c>agent</c>, <c>key</c>, <c>user</c>; newest day first.
    /// </summary>
    internal static List<UsageSum> Sum(
        DbSession session, TenantContext tenant, string groupBy, DateTimeOffset from, DateTimeOffset to,
        string? mode) =>
        session.List(Statement(groupBy),
            static row => new UsageSum(row.StringOrNull(0) ?? "", row.GetInt64(1), row.GetInt64(2), row.GetInt64(3),
                row.GetInt64(4), row.GetInt64(5), row.GetInt64(6)),
            tenant.AccountId, from.ToUnixTimeMilliseconds(), to.ToUnixTimeMilliseconds(), mode);

    /// <summary>Runs may stand in several groups (two models), so the total is counted for itself.</summary>
    internal static UsageSum Total(
        DbSession session, TenantContext tenant, DateTimeOffset from, DateTimeOffset to, string? mode) =>
        Sum(session, tenant, "all", from, to, mode).SingleOrDefault() ?? new UsageSum("", 0, 0, 0, 0, 0, 0);

    private static string Statement(string groupBy)
    {
        const string Sums = ", count(*), count(DISTINCT run_id), sum(input_tokens), sum(output_tokens), sum(upstream), "
            + "sum(margin) FROM model_calls WHERE account_id = $1 AND at >= $2 AND at < $3 "
            + "AND ($4 IS NULL OR mode = $4) ";
        return groupBy switch
        {
            "day" => "SELECT strftime('%Y-%m-%d', at / 1000, 'unixepoch') AS name" + Sums
                + "GROUP BY name ORDER BY name DESC",
            "model" => "SELECT model" + Sums + "GROUP BY model ORDER BY model",
            "agent" => "SELECT agent_id" + Sums + "GROUP BY agent_id ORDER BY agent_id",
            "key" => "SELECT key_id" + Sums + "GROUP BY key_id ORDER BY key_id",
            "user" => "SELECT user_id" + Sums + "GROUP BY user_id ORDER BY user_id",
            "all" => "SELECT ''" + Sums + "HAVING count(*) > 0",
            _ => throw new ArgumentOutOfRangeException(nameof(groupBy), groupBy, "is no way to group usage"),
        };
    }
}

/// <summary>What a group of model calls adds up to; amounts in micro-USD.</summary>
internal sealed record UsageSum(
    string Key, long Requests, long Runs, long InputTokens, long OutputTokens, long Upstream, long Margin);
