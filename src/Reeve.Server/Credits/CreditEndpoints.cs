using System.Globalization;
using System.Text;
using Reeve.Server.Accounts;
using Reeve.Server.Audit;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Credits;

/// <summary>Usage, ledger and the operator's top-up (wire-mesh 5.2, 5.3).</summary>
internal static class CreditEndpoints
{
    private const int DaysDefault = 30;
    private const int DaysMax = 366;
    private const long TestBalanceMicroUsd = 10_000_000;

    internal static void AddCredits(this IServiceCollection services)
    {
        services.AddSingleton(CreditSchemas.All);
        services.AddSingleton<CreditLedger>();
        services.AddSingleton<NewAccountGrant>(static provider =>
        {
            var ledger = provider.GetRequiredService<CreditLedger>();
            var starting = decimal.ToInt64(provider.GetRequiredService<CreditOptions>().StartingBalanceUsd * 1_000_000);
            return (session, accountId, operatorAccount) =>
            {
                ledger.Open(session, accountId, "live", operatorAccount ? starting : 0);
                ledger.Open(session, accountId, "test", TestBalanceMicroUsd);
            };
        });
    }

    internal static void MapCredits(this IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/usage", UsageAsync).RequireScope(ApiKeyScopes.Usage).WithTags("Credits")
            .WithName("getUsage")
            .WithSummary("Sums model calls by day, model, agent, key or user; format=csv for a table.")
            .Query("from", "The last 30 days when left out; at most 366 days before to.", static () => Schema.Text(1))
            .Query("to", "Now when left out.", static () => Schema.Text(1))
            .Query("group_by", "By day when left out.",
                static () => Schema.Word("day", "model", "agent", "key", "user"))
            .Query("mode", "Only of this balance.", static () => Schema.Word("live", "test"))
            .Query("format", "csv: a table.", static () => Schema.Word("json", "csv"))
            .Query("accountId", "Another account, for an admin key of the first one.", static () => Schema.Text(1))
            .Answers(200, "Usage", "The sums.").AnswersText("text/csv", "The sums.").Misses("account");
        app.MapGet("/v1/ledger", LedgerAsync).RequireScope(ApiKeyScopes.Usage).WithTags("Credits")
            .WithName("listLedger").WithSummary("Lists ledger entries, newest first; entries never change.")
            .Lists("LedgerEntry")
            .Query("type", "Only of this type.", static () => Schema.Word(LedgerStore.ShownTypes))
            .Query("run_id", "Only of this run.", static () => Schema.Text(1))
            .Query("mode", "Only of this balance.", static () => Schema.Word("live", "test"));
        app.MapPost("/v1/accounts/{id}/credits", AdjustAsync).RequireScope(ApiKeyScopes.Admin).WithTags("Credits")
            .WithName("adjustCredits")
            .WithSummary("Adds to an account's balance, or takes from it down to what is available.")
            .Takes("CreditAdjustment").Answers(201, "LedgerEntry", "The ledger's entry.")
            .Refuses(ApiErrorCodes.Conflict);
    }

    private static async Task UsageAsync(
        HttpContext context, Database database, CreditOptions credits, TimeProvider time)
    {
        var query = new RequestQuery(context, "from", "to", "group_by", "mode", "format", "accountId");
        var to = query.Time("to") ?? time.GetUtcNow().AddMilliseconds(1);
        var from = query.Time("from") ?? to.AddDays(-Math.Min(DaysDefault, (to - DateTimeOffset.MinValue).TotalDays));
        if (from > to || to - from > TimeSpan.FromDays(DaysMax))
        {
            throw ApiException.Invalid($"from must be before to, by at most {DaysMax} days.", "from");
        }

        var groupBy = query.Word("group_by", "day", "model", "agent", "key", "user") ?? "day";
        var mode = query.Word("mode", "live", "test");
        var asCsv = query.Word("format", "json", "csv") == "csv";
        var tenant = AccountEndpoints.TenantOf(context, database, query.Text("accountId"));
        var (sums, total) = database.Read(session => (
            UsageStore.Sum(session, tenant, groupBy, from, to, mode),
            UsageStore.Total(session, tenant, from, to, mode)));
        var data = sums.Select(sum => Show(sum, credits, withKey: true)).ToList();
        if (asCsv)
        {
            context.Response.ContentType = "text/csv; charset=utf-8";
            await context.Response.WriteAsync(Csv(data), context.RequestAborted);
            return;
        }

        await ApiJson.WriteAsync(context, 200,
            new UsageAnswer(data, false, null, Show(total, credits, withKey: false)), CreditJson.Wire.UsageAnswer);
    }

    private static Task LedgerAsync(HttpContext context, Database database)
    {
        var query = new RequestQuery(context, "limit", "after", "type", "run_id", "mode");
        var page = PageQuery.Read(query, Id.Event);
        var filter = new LedgerFilter(page.After, query.Word("type", LedgerStore.ShownTypes),
            query.Text("run_id") is { } run ? Id.TryParse(Id.Run, run, out var runId) ? runId : "none" : null,
            query.Word("mode", "live", "test"), page.Limit + 1);
        var entries = database.Read(session => LedgerStore.List(session, context.Caller().Tenant, filter));
        return ApiJson.WriteAsync(context, 200,
            Page<LedgerEntry>.Of(entries, page.Limit, entry => entry.Id).Map(LedgerEntryBody.Of),
            CreditJson.Wire.PageLedgerEntryBody);
    }

    private static async Task AdjustAsync(
        HttpContext context, string id, Database database, CreditLedger ledger, ReeveOptions options)
    {
        _ = new RequestQuery(context);
        using var document = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var body = new RequestObject(document.RootElement);
        const decimal UsdMax = 1_000_000_000;
        var amount = body.Number("amount_usd", -UsdMax, UsdMax, 6) ?? throw body.Wrong("amount_usd", "is required");
        var mode = body.Word("mode", "live", "test") ?? "live";
        var note = body.String("note", 0, 200);
        body.RejectUnknown();
        if (amount == 0)
        {
            throw body.Wrong("amount_usd", "must not be 0");
        }

        var account = AccountEndpoints.RequireReachable(database, context.Caller(), id);
        AccountEndpoints.RequireOperator(context.Caller(), null); // Nobody else makes money.
        var entry = await database.WriteAsync(session =>
        {
            var made = ledger.Adjust(session, account.AccountId, mode, decimal.ToInt64(amount * 1_000_000), note);
            AuditLog.Append(session, account, AuditTypes.CreditsAdjusted, made.Id, made.CreatedAt, AuditLog.Detail(
                ("mode", mode), ("amount_usd", amount.ToString(CultureInfo.InvariantCulture))));
            return made;
        });
        await ApiJson.WriteAsync(context, 201, LedgerEntryBody.Of(entry), CreditJson.Wire.LedgerEntryBody);
    }

    private static UsageBody Show(UsageSum sum, CreditOptions credits, bool withKey) => new()
    {
        Key = withKey ? sum.Key : null,
        Requests = sum.Requests,
        Runs = sum.Runs,
        InputTokens = sum.InputTokens,
        OutputTokens = sum.OutputTokens,
        UpstreamUsd = Money.Usd(sum.Upstream),
        MarginUsd = Money.Usd(sum.Margin),
        TotalUsd = Money.Usd(sum.Upstream + sum.Margin),
        Credits = Money.Credits(sum.Upstream + sum.Margin, credits.MicroUsdPerCredit),
    };

    private static string Csv(IEnumerable<UsageBody> rows)
    {
        var text = new StringBuilder(
            "key,requests,runs,input_tokens,output_tokens,upstream_usd,margin_usd,total_usd,credits\r\n");
        foreach (var row in rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"{Field(row.Key!)},{row.Requests},{row.Runs},{row.InputTokens},")
                .Append(CultureInfo.InvariantCulture, $"{row.OutputTokens},{row.UpstreamUsd},{row.MarginUsd},")
                .Append(CultureInfo.InvariantCulture, $"{row.TotalUsd},{row.Credits}\r\n");
        }

        return text.ToString();
    }

    // A leading sign would make a formula of a user's id in a spreadsheet; white space before it does not help.
    private static string Field(string text)
    {
        var safe = text.AsSpan().TrimStart() is ['=' or '+' or '-' or '@', ..] || text is ['\t' or '\r' or '\n', ..]
            ? "'" + text
            : text;
        return safe.AsSpan().IndexOfAny(",\"\r\n") < 0
            ? safe
            : $"\"{safe.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
