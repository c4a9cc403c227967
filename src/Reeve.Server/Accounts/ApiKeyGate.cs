using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

/// <summary>
/// Stands between routing and every endpoint and lets nothing through that has no right to be there:
/// <list type="number">
/// <item>path and method: 404 and 405;</item>
/// <item>key: 401, one answer for every reason;</item>
/// <item>the request is counted, and the answer says what is left;</item>
/// <item>account and scope: 403;</item>
/// <item>limits of the minute and the month, the account's before the key's: 429;</item>
/// <item>whatever writes, while the disk does not keep up: 503, before the body is read.</item>
/// </list>
/// </summary>
internal sealed class ApiKeyGate(
    RequestDelegate next, ApiKeyDirectory keys, Database database, EndpointDataSource endpoints, TimeProvider time)
{
    private const string Scheme = "Bearer ";
    private const int SlowRetryAfterSeconds = 2;

    public Task InvokeAsync(HttpContext context)
    {
        var path = context.Request.Path.Value ?? "";
        if (context.GetEndpoint() is not RouteEndpoint endpoint || !RoutePath.Matches(endpoint.RoutePattern, path))
        {
            throw Unmatched(context, path);
        }

        endpoint.Metadata.GetMetadata<EveryAnswer>()?.Prepare(context);
        if (endpoint.Metadata.GetMetadata<MethodRefusal>() is { } refusal)
        {
            context.Response.Headers.Allow = refusal.Allow;
            throw new ApiException(ApiErrorCodes.MethodNotAllowed, refusal.Message);
        }

        var rule = endpoint.Metadata.GetMetadata<AccessRule>();
        if (rule is { IsPublic: true })
        {
            return next(context);
        }

        var now = time.GetUtcNow();
        var known = Authenticate(context, now);
        context.Features.Set(known.Caller);
        var account = known.AccountCounter.Count(now);
        var key = known.KeyCounter.Count(now);
        Describe(context, known, account, key, now);
        Authorize(known.Caller, rule);
        Limit(known, account, key, now);
        RefuseWhenSlow(context.Request.Method);
        return next(context);
    }

    /// <summary>Routing found nothing, or only paths in other letter case or with other methods.</summary>
    private ApiException Unmatched(HttpContext context, string path)
    {
        // A path of its own (agents/runs) also fits the pattern of an id (agents/{id}), whose methods it refuses.
        var here = endpoints.Endpoints.OfType<RouteEndpoint>()
            .Where(endpoint => RoutePath.Matches(endpoint.RoutePattern, path))
            .ToLookup(static endpoint => endpoint.Metadata.GetMetadata<MethodRefusal>() is not null, MethodsOf);
        var methods = here[false].SelectMany(static one => one).Except(here[true].SelectMany(static one => one))
            .Order(StringComparer.Ordinal).ToList();
        context.SetEndpoint(null);
        if (methods.Count == 0 || methods.Contains(context.Request.Method))
        {
            return new ApiException(ApiErrorCodes.NotFound, "There is nothing at this path.");
        }

        var allow = string.Join(", ", methods);
        context.Response.Headers.Allow = allow;
        return new ApiException(ApiErrorCodes.MethodNotAllowed, $"This path answers {allow} only.");
    }

    private static IReadOnlyList<string> MethodsOf(RouteEndpoint endpoint) =>
        endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? [];

    private KnownKey Authenticate(HttpContext context, DateTimeOffset now)
    {
        var headers = context.Request.Headers.Authorization;
        var text = headers.Count == 1 ? headers[0].AsSpan() : default;
        return text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
            && keys.Find(text[Scheme.Length..].Trim(' '), now) is { } known
            ? known
            : throw new ApiException(ApiErrorCodes.Unauthorized, "Invalid or missing API key");
    }

    /// <summary>The headers speak of the limit with the least left.</summary>
    private static void Describe(
        HttpContext context, KnownKey known, RequestTally account, RequestTally key, DateTimeOffset now)
    {
        var (limit, left) = (known.AccountLimit, known.AccountLimit.Left(account));
        if (known.KeyLimit is { } keyLimit && keyLimit.Left(key) < left)
        {
            (limit, left) = (keyLimit, keyLimit.Left(key));
        }

        limit.Describe(context.Response.Headers, left, now.ToUnixTimeSeconds());
    }

    private static void Authorize(Caller caller, AccessRule? rule)
    {
        if (rule is null)
        {
            throw new ApiException(ApiErrorCodes.Forbidden, "Nobody may call this endpoint.");
        }

        if (caller.Account.Status == AccountStatuses.Suspended && !rule.AnswersSuspended)
        {
            throw new ApiException(ApiErrorCodes.Forbidden, "The account is suspended.");
        }

        if ((caller.Key.Kind == ApiKeyKinds.AuterynWidget) != rule.IsForWidgets)
        {
            throw new ApiException(ApiErrorCodes.Forbidden, rule.IsForWidgets
                ? "Only a widget key works here."
                : "A widget key works on the widget's endpoint alone.");
        }

        if (rule.Scopes.Count > 0 && !HasOne(caller, rule.Scopes))
        {
            throw new ApiException(ApiErrorCodes.Forbidden,
                $"The key lacks the scope {string.Join(" or ", rule.Scopes)}.", rule.Scopes[0]);
        }
    }

    private static bool HasOne(Caller caller, IReadOnlyList<string> scopes)
    {
        for (var i = 0; i < scopes.Count; i++)
        {
            if (caller.HasScope(scopes[i]))
            {
                return true;
            }
        }

        return false;
    }

    private void Limit(KnownKey known, RequestTally account, RequestTally key, DateTimeOffset now)
    {
        if (known.AccountLimit.Left(account) < 0)
        {
            throw PassedMinute("account", now);
        }

        LimitMonth("account", known.Caller, known.Caller.Account.Limits, account, now);
        if (known.KeyLimit?.Left(key) < 0)
        {
            throw PassedMinute("key", now);
        }

        LimitMonth("key", known.Caller, known.Caller.Key.Limits, key, now);
    }

    private void RefuseWhenSlow(string method)
    {
        if (database.IsSlow && !HttpMethods.IsGet(method))
        {
            throw new ApiException(ApiErrorCodes.Unavailable, "The database takes too long to write; try again later.")
            {
                RetryAfterSeconds = SlowRetryAfterSeconds,
            };
        }
    }

    private void LimitMonth(string whose, Caller caller, UsageLimits limits, RequestTally tally, DateTimeOffset now)
    {
        if (tally.InMonth > limits.MonthlyRequestLimit)
        {
            throw PassedMonth(whose, "requests", "limits.monthlyRequestLimit", now);
        }

        if (limits.MonthlyTokenLimit is { } tokens && TokensOf(whose, caller, now) >= tokens)
        {
            throw PassedMonth(whose, "tokens", "limits.monthlyTokenLimit", now);
        }
    }

    // Tokens move with the ledger; a key under such a limit pays for a look at each request.
    private long TokensOf(string whose, Caller caller, DateTimeOffset now)
    {
        var month = RequestCounters.MonthText(RequestCounter.MonthOf(now));
        return database.Read(session => whose == "key"
            ? ApiKeyStore.TokensOfKey(session, caller.Tenant, caller.Key.Id, month)
            : ApiKeyStore.TokensOfAccount(session, caller.Tenant, month));
    }

    private static ApiException PassedMinute(string whose, DateTimeOffset now) => new(ApiErrorCodes.RateLimited,
        $"The {whose}'s limit of requests a minute is reached.", "limits.requestsPerMinute")
    {
        RetryAfterSeconds = RateLimit.SecondsToReset(now.ToUnixTimeSeconds()),
    };

    private static ApiException PassedMonth(string whose, string what, string param, DateTimeOffset now)
    {
        var next = new DateTimeOffset(now.Year, now.Month, 1, 0, 0, 0, TimeSpan.Zero).AddMonths(1);
        return new ApiException(ApiErrorCodes.RateLimited, $"The {whose}'s limit of {what} a month is reached.", param)
        {
            RetryAfterSeconds = (int)Math.Ceiling((next - now).TotalSeconds),
        };
    }
}
