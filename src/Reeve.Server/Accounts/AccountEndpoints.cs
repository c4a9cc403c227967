using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

internal static class AccountEndpoints
{
    private static readonly JsonElement NoMetadata = JsonElement.Parse("{}");

    internal static void AddAccounts(this IServiceCollection services)
    {
        services.AddSingleton(AccountSchemas.All);
        services.AddSingleton<ApiKeyHasher>();
        services.AddSingleton<RequestCounters>();
        services.AddHostedService(static provider => provider.GetRequiredService<RequestCounters>());
        services.AddSingleton<ApiKeyDirectory>();
        services.AddSingleton<ApiKeys>();
        services.AddSingleton<AccountRegister>();
    }

    internal static void MapAccounts(this IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/accounts/me", Me).AnyKey(answersSuspended: true).WithTags("Accounts")
            .WithName("getOwnAccount").WithSummary("Shows the account of the key.")
            .Answers(200, "Account", "The account.");
        var accounts = app.MapGroup("/v1/accounts").RequireScope(ApiKeyScopes.Admin).WithTags("Accounts");
        accounts.MapGet("", List).WithName("listAccounts").WithSummary("Lists the accounts that the key reaches.")
            .Lists("Account");
        accounts.MapPost("", CreateAsync).WithName("createAccount")
            .WithSummary("Makes an account; its first key is shown once.")
            .Takes("AccountCreate").Answers(201, "Account", "The account with its first key.");
        accounts.MapGet("/{id}", Show).WithName("getAccount").WithSummary("Shows an account.")
            .Answers(200, "Account", "The account.");
        accounts.MapPatch("/{id}", ChangeAsync).WithName("changeAccount").WithSummary("Changes an account.")
            .Takes("AccountChange").Answers(200, "Account", "The account.").Refuses(ApiErrorCodes.Conflict);
        accounts.MapPatch("/{id}/limits", LimitAsync).WithName("limitAccount")
            .WithSummary("Changes the limits of an account.")
            .Takes("UsageLimitsInput").Answers(200, "Account", "The account.");
    }

    private static Task Me(HttpContext context, AccountRegister accounts, ReeveOptions options) =>
        AnswerAsync(context, StatusCodes.Status200OK, accounts.Find(context.Caller().Tenant), options);

    private static Task List(HttpContext context, AccountRegister accounts, ReeveOptions options)
    {
        var page = PageQuery.Read(new RequestQuery(context, "limit", "after"), Id.Account);
        var caller = context.Caller();
        var found = caller.Account.IsOperator
            ? accounts.List(page)
            : page.After is { } after && string.CompareOrdinal(caller.Account.Id, after) >= 0
                ? []
                : [accounts.Find(caller.Tenant)!.Value];
        var shown = Page<(Account Account, AccountBalances Balances)>
            .Of(found, page.Limit, static one => one.Account.Id)
            .Map(one => AccountRecord.Of(one.Account, one.Balances, options.Credits));
        return ApiJson.WriteAsync(context, StatusCodes.Status200OK, shown, AccountsJson.Wire.PageAccountRecord);
    }

    private static async Task CreateAsync(HttpContext context, AccountRegister accounts, ReeveOptions options)
    {
        RequireOperator(context.Caller(), null);
        string name, plan;
        UsageLimits limits;
        using (var json = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax))
        {
            var body = new RequestObject(json.RootElement);
            name = body.RequiredString("name", 1, 100);
            plan = body.Word("plan", AccountPlans.All) ?? AccountPlans.Free;
            limits = UsageLimitsBody.Read(body);
            body.RejectUnknown();
        }

        var (account, balances, key) = await accounts.CreateAsync(context.Caller().Tenant, name, plan, limits);
        await ApiJson.WriteAsync(context, StatusCodes.Status201Created,
            AccountRecord.Of(account, balances, options.Credits) with { Key = key }, AccountsJson.Wire.AccountRecord);
    }

    private static Task Show(HttpContext context, string id, AccountRegister accounts, ReeveOptions options) =>
        AnswerAsync(context, StatusCodes.Status200OK,
            Reach(context.Caller(), id) is { } tenant ? accounts.Find(tenant) : null, options);

    private static async Task ChangeAsync(
        HttpContext context, string id, AccountRegister accounts, ReeveOptions options)
    {
        using var json = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var body = new RequestObject(json.RootElement);
        var change = ReadChange(body);
        body.RejectUnknown();
        var tenant = Reach(context.Caller(), id);
        foreach (var name in (ReadOnlySpan<string>)["plan", "status"])
        {
            if (tenant is not null && body.Has(name))
            {
                RequireOperator(context.Caller(), name);
            }
        }

        await AnswerAsync(context, StatusCodes.Status200OK,
            tenant is { } reached ? await accounts.ChangeAsync(reached, change) : null, options);
    }

    private static Func<Account, Account> ReadChange(RequestObject body)
    {
        var name = body.String("name", 1, 100);
        if (body.Has("name") && name is null)
        {
            throw body.Wrong("name", "is required");
        }

        var plan = body.Word("plan", AccountPlans.All);
        var status = body.Word("status", AccountStatuses.All);
        var metadata = body.Metadata("metadata");
        return account => account with
        {
            Name = name ?? account.Name,
            Plan = !body.Has("plan") ? account.Plan
                : plan ?? (account.IsOperator ? AccountPlans.Enterprise : AccountPlans.Free),
            Status = body.Has("status") ? status ?? AccountStatuses.Active : account.Status,
            Metadata = body.Has("metadata") ? metadata ?? NoMetadata : account.Metadata,
        };
    }

    private static async Task LimitAsync(HttpContext context, string id, AccountRegister accounts, ReeveOptions options)
    {
        using var json = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var body = new RequestObject(json.RootElement);
        UsageLimitsBody.Merge(body, UsageLimits.None);
        body.RejectUnknown();
        var tenant = Reach(context.Caller(), id);
        if (tenant is not null)
        {
            RequireOperator(context.Caller(), null);
        }

        await AnswerAsync(context, StatusCodes.Status200OK, tenant is { } reached
            ? await accounts.ChangeAsync(reached,
                account => account with { Limits = UsageLimitsBody.Merge(body, account.Limits) })
            : null, options);
    }

    private static Task AnswerAsync(
        HttpContext context, int status, (Account Account, AccountBalances Balances)? found, ReeveOptions options) =>
        found is { } one
            ? ApiJson.WriteAsync(context, status,
                AccountRecord.Of(one.Account, one.Balances, options.Credits), AccountsJson.Wire.AccountRecord)
            : throw ApiException.NotFound("account");

    /// <summary>
    /// Whom an id names, for this caller: the operator reaches every account, others reach their own.
    /// </summary>
    private static TenantContext? Reach(Caller caller, string id) =>
        Id.TryParse(Id.Account, id, out var accountId) && (caller.Account.IsOperator || accountId == caller.Account.Id)
            ? new TenantContext(accountId) { KeyId = caller.Key.Id }
            : null;

    /// <summary>An account that exists and that the caller may reach; 404 for every other.</summary>
    internal static TenantContext RequireReachable(Database database, Caller caller, string id) =>
        Reach(caller, id) is { } tenant && database.Read(session => AccountStore.Find(session, tenant)) is not null
            ? tenant
            : throw ApiException.NotFound("account");

    /// <summary>
    /// Whose things a query asks for. <c>accountId</c> is the SDK's: one's own is fine, another's needs an admin key of
    /// the first account.
    /// </summary>
    internal static TenantContext TenantOf(HttpContext context, Database database, string? accountId)
    {
        var caller = context.Caller();
        return accountId is null || (Id.TryParse(Id.Account, accountId, out var own) && own == caller.Account.Id)
            ? caller.Tenant
            : caller.HasScope(ApiKeyScopes.Admin)
                ? RequireReachable(database, caller, accountId)
                : throw ApiException.NotFound("account", "accountId");
    }

    /// <summary>What decides over money and access is not an account's own to change.</summary>
    internal static void RequireOperator(Caller caller, string? param)
    {
        if (caller.Mode == "test")
        {
            throw new ApiException(ApiErrorCodes.Forbidden, "A test key may not do this.", param);
        }

        if (!caller.Account.IsOperator)
        {
            throw new ApiException(ApiErrorCodes.Forbidden, "Only a key of the first account may do this.", param);
        }
    }
}
