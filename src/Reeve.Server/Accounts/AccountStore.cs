using System.Data.Common;
using System.Text.Json;
using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

/// <summary>What an account has, in micro-USD.</summary>
internal sealed record AccountBalances(long Available, long Held, long TestAvailable);

/// <summary>All SQL of accounts. An account is its own tenant; only listing goes beyond one.</summary>
internal static class AccountStore
{
    private const string Columns = "id, name, plan, status, is_operator, limits, metadata, created_at";

    internal static Account? Find(DbSession session, TenantContext tenant) =>
        session.Single("SELECT " + Columns + " FROM accounts WHERE id = $1", Map, tenant.AccountId);

    internal static Account? FindOperator(DbSession session) =>
        session.Single("SELECT " + Columns + " FROM accounts WHERE is_operator = 1", Map);

    /// <summary>Every account, for the operator alone.</summary>
    internal static List<Account> List(DbSession session, string? after, int limit) =>
        session.List("SELECT " + Columns + " FROM accounts WHERE ($1 IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
            Map, after, limit);

    internal static void Insert(DbSession session, Account account)
    {
        session.Execute("INSERT INTO accounts (" + Columns + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            account.Id, account.Name, account.Plan, account.Status, account.IsOperator ? 1 : 0,
            JsonSerializer.Serialize(account.Limits, AccountsJson.Wire.UsageLimits), account.Metadata.GetRawText(),
            account.CreatedAt.ToUnixTimeMilliseconds());
        session.Keys?.Create(session, new TenantContext(account.Id), account.CreatedAt);
    }

    internal static void Update(DbSession session, Account account) =>
        session.Execute("UPDATE accounts SET name = $2, plan = $3, status = $4, limits = $5, metadata = $6 "
            + "WHERE id = $1", account.Id, account.Name, account.Plan, account.Status,
            JsonSerializer.Serialize(account.Limits, AccountsJson.Wire.UsageLimits), account.Metadata.GetRawText());

    internal static AccountBalances Balances(DbSession session, TenantContext tenant)
    {
        var rows = session.List("SELECT mode, available, held FROM balances WHERE account_id = $1",
            static row => (Mode: row.GetString(0), Available: row.GetInt64(1), Held: row.GetInt64(2)),
            tenant.AccountId);
        var live = rows.Find(static row => row.Mode == "live");
        return new AccountBalances(live.Available, live.Held, rows.Find(static row => row.Mode == "test").Available);
    }

    private static Account Map(DbDataReader row)
    {
        using var metadata = JsonDocument.Parse(row.GetString(6));
        return new Account
        {
            Id = row.GetString(0),
            Name = row.GetString(1),
            Plan = row.GetString(2),
            Status = row.GetString(3),
            IsOperator = row.GetInt64(4) == 1,
            Limits = JsonSerializer.Deserialize(row.GetString(5), AccountsJson.Wire.UsageLimits)!,
            Metadata = metadata.RootElement.Clone(),
            CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(7)),
        };
    }
}
