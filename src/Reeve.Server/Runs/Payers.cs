using Reeve.Server.Accounts;
using Reeve.Server.Credits;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>Who pays for a run, from who asked for it.</summary>
internal static class Payers
{
    internal static Payer Of(Caller caller) => new(caller.Account.Id, caller.Mode, caller.Key.Id)
    {
        KeyBudget = MicroUsd(caller.Key.Limits),
        AccountBudget = MicroUsd(caller.Account.Limits),
    };

    /// <summary>The budgets that key and account have now, for a run that was taken over.</summary>
    internal static Payer WithBudgets(DbSession session, Payer payer)
    {
        var tenant = new TenantContext(payer.AccountId);
        return payer with
        {
            KeyBudget = MicroUsd(ApiKeyStore.Find(session, tenant, payer.KeyId)?.Limits),
            AccountBudget = MicroUsd(AccountStore.Find(session, tenant)?.Limits),
        };
    }

    private static long? MicroUsd(UsageLimits? limits) =>
        limits?.MonthlyUsdLimit is { } usd ? (long)decimal.Floor(usd * 1_000_000) : null;
}
