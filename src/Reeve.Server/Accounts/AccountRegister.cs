using System.Text.Json;
using Reeve.Server.Audit;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

/// <summary>Gives a new account its first money, inside the transaction that makes the account.</summary>
internal delegate void NewAccountGrant(DbSession session, string accountId, bool operatorAccount);

/// <summary>Makes and changes accounts.</summary>
internal sealed class AccountRegister(
    Database database, ApiKeys keys, ApiKeyDirectory directory, NewAccountGrant grant, IdGenerator ids,
    TimeProvider time)
{
    private static readonly JsonElement NoMetadata = JsonElement.Parse("{}");

    internal (Account Account, AccountBalances Balances)? Find(TenantContext tenant) => database.Read(session =>
        AccountStore.Find(session, tenant) is { } account
            ? (account, AccountStore.Balances(session, tenant))
            : ((Account, AccountBalances)?)null);

    /// <summary>All accounts, newest first, for the operator alone.</summary>
    internal List<(Account Account, AccountBalances Balances)> List(PageQuery page) => database.Read(session =>
        AccountStore.List(session, page.After, page.Limit + 1)
            .ConvertAll(account => (account, AccountStore.Balances(session, new TenantContext(account.Id)))));

    /// <summary>Makes an account with its first key, which has the scope admin.</summary>
    internal Task<(Account Account, AccountBalances Balances, string Key)> CreateAsync(
        TenantContext maker, string name, string plan, UsageLimits limits) => database.WriteAsync(session =>
    {
        var account = Insert(session, name, plan, limits, maker.KeyId);
        var tenant = maker with { AccountId = account.Id };
        var wanted = new NewApiKey("first key", [ApiKeyScopes.Admin]);
        var (_, text) = keys.Create(session, tenant, wanted, ApiKeyText.Make(wanted.Kind));
        return (account, AccountStore.Balances(session, tenant), text);
    });

    /// <summary>Changes an account as <paramref name="change"/> says; null when there is none.</summary>
    internal async Task<(Account Account, AccountBalances Balances)?> ChangeAsync(
        TenantContext tenant, Func<Account, Account> change)
    {
        var changed = await database.WriteAsync(session =>
        {
            if (AccountStore.Find(session, tenant) is not { } account)
            {
                return ((Account, AccountBalances)?)null;
            }

            account = change(account);
            if (account is { IsOperator: true, Status: not AccountStatuses.Active })
            {
                throw new ApiException(ApiErrorCodes.Conflict,
                    "The first account administers the others and stays active.", "status");
            }

            AccountStore.Update(session, account);
            AuditLog.Append(session, tenant, AuditTypes.AccountChanged, account.Id, time.GetUtcNow(), Facts(account));
            return (account, AccountStore.Balances(session, tenant));
        });
        directory.Changed();
        return changed;
    }

    /// <summary>
    /// Sees to it that the operator's account and its admin key exist, until a start has shown that key: a start that
    /// was cut off before takes back the key that nobody saw and makes another. Answers the key's text, null when the
    /// operator preset it.
    /// </summary>
    internal (Account Account, string? GeneratedKey) EnsureOperator(DbSession session, string? presetKey)
    {
        var account = AccountStore.FindOperator(session)
            ?? Insert(session, "Default", AccountPlans.Enterprise, UsageLimits.None, makerKeyId: null);
        var tenant = new TenantContext(account.Id);
        var text = presetKey ?? ApiKeyText.Make(ApiKeyKinds.MeshLive);
        if (keys.FindByText(session, text) is not { } known)
        {
            ApiKeyStore.LiveAdminIds(session, tenant, time.GetUtcNow())
                .ForEach(id => keys.Revoke(session, tenant, id));
            var wanted = new NewApiKey("admin key", [ApiKeyScopes.Admin]) { Kind = ApiKeyText.KindOf(text)! };
            keys.Create(session, tenant, wanted, text);
        }
        else if (known.RevokedAt is not null)
        {
            throw new StartException("REEVE_ADMIN_KEY is a key that was revoked; set another one.");
        }

        return (account, presetKey is null ? text : null);
    }

    /// <summary>The first account is the operator's: no key makes it.</summary>
    private Account Insert(DbSession session, string name, string plan, UsageLimits limits, string? makerKeyId)
    {
        var isOperator = makerKeyId is null;
        var account = new Account
        {
            Id = ids.New(Id.Account),
            Name = name,
            Plan = plan,
            Status = AccountStatuses.Active,
            IsOperator = isOperator,
            Limits = limits,
            Metadata = NoMetadata,
            CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds()),
        };
        AccountStore.Insert(session, account);
        AuditLog.Append(session, new TenantContext(account.Id) { KeyId = makerKeyId }, AuditTypes.AccountCreated,
            account.Id, account.CreatedAt, Facts(account));
        grant(session, account.Id, isOperator);
        return account;
    }

    private static string Facts(Account account) => AuditLog.Detail(
        ("plan", account.Plan), ("status", account.Status),
        ("limits", JsonSerializer.Serialize(account.Limits, AccountsJson.Wire.UsageLimits)));
}
