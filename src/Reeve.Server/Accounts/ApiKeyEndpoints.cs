using System.Globalization;
using System.Text.RegularExpressions;
using Reeve.Server.Http;

namespace Reeve.Server.Accounts;

internal static partial class ApiKeyEndpoints
{
    private const int OriginsMax = 50;

    internal static void MapApiKeys(this IEndpointRouteBuilder app)
    {
        var keys = app.MapGroup("/v1/api-keys").RequireScope(ApiKeyScopes.Keys).WithTags("API keys");
        keys.MapGet("", List).WithName("listApiKeys").WithSummary("Lists the account's keys, revoked ones too.")
            .Lists("ApiKey");
        keys.MapPost("", CreateAsync).WithName("createApiKey").WithSummary("Makes a key; its text is shown once.")
            .Takes("ApiKeyCreate").Answers(201, "ApiKey", "The key with its text.").Misses("agent");
        keys.MapPatch("/{id}/limits", LimitAsync).WithName("limitApiKey").WithSummary("Changes the limits of a key.")
            .Takes("UsageLimitsInput").Answers(200, "ApiKey", "The key.");
        keys.MapDelete("/{id}", RevokeAsync).WithName("revokeApiKey").WithSummary("Revokes a key for good.")
            .AnswersNothing("The key is revoked.").Refuses(ApiErrorCodes.Conflict);
    }

    private static Task List(HttpContext context, ApiKeys keys, RequestCounters counters)
    {
        var page = PageQuery.Read(new RequestQuery(context, "limit", "after"), Id.Key);
        var found = keys.List(context.Caller().Tenant, page);
        var shown = Page<ApiKey>.Of(found, page.Limit, static key => key.Id)
            .Map(key => ApiKeyRecord.Of(key, counters.LastUsedAt(key.Id)));
        return ApiJson.WriteAsync(context, StatusCodes.Status200OK, shown, AccountsJson.Wire.PageApiKeyRecord);
    }

    private static async Task CreateAsync(HttpContext context, ApiKeys keys, ReeveOptions options, TimeProvider time)
    {
        NewApiKey wanted;
        using (var json = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax))
        {
            wanted = ReadNewKey(new RequestObject(json.RootElement), time.GetUtcNow());
        }

        var (key, text) = await keys.CreateAsync(context.Caller(), wanted);
        await ApiJson.WriteAsync(context, StatusCodes.Status201Created,
            ApiKeyRecord.Of(key, null) with { Key = text }, AccountsJson.Wire.ApiKeyRecord);
    }

    private static async Task LimitAsync(
        HttpContext context, string id, ApiKeys keys, ReeveOptions options, RequestCounters counters)
    {
        using var json = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var body = new RequestObject(json.RootElement);
        UsageLimitsBody.Merge(body, UsageLimits.None);
        body.RejectUnknown(); // Read once before the id is looked up: a wrong body is told first.
        var key = Id.TryParse(Id.Key, id, out var keyId)
            ? await keys.LimitAsync(context.Caller(), keyId, limits => UsageLimitsBody.Merge(body, limits))
            : null;
        await ApiJson.WriteAsync(context, StatusCodes.Status200OK,
            ApiKeyRecord.Of(key ?? throw ApiException.NotFound("key"), counters.LastUsedAt(key.Id)),
            AccountsJson.Wire.ApiKeyRecord);
    }

    private static async Task RevokeAsync(HttpContext context, string id, ApiKeys keys)
    {
        if (!Id.TryParse(Id.Key, id, out var keyId) || !await keys.RevokeAsync(context.Caller().Tenant, keyId))
        {
            throw ApiException.NotFound("key");
        }

        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static NewApiKey ReadNewKey(RequestObject body, DateTimeOffset now)
    {
        var kind = body.Word("kind", ApiKeyKinds.All) ?? ApiKeyKinds.MeshLive;
        var isWidget = kind == ApiKeyKinds.AuterynWidget;
        var key = new NewApiKey(body.RequiredString("name", 1, 100), ReadScopes(body))
        {
            Kind = kind,
            Limits = UsageLimitsBody.Read(body),
            ExpiresAt = ReadExpiry(body, now),
            AgentId = ReadAgent(body, isWidget),
            AllowedOrigins = ReadOrigins(body, isWidget),
        };
        body.RejectUnknown();
        return key;
    }

    private static List<string> ReadScopes(RequestObject body)
    {
        var scopes = body.Strings("scopes", 100, 100) ?? throw body.Wrong("scopes", "is required");
        if (scopes.Count == 0)
        {
            throw body.Wrong("scopes", "must not be empty");
        }

        for (var i = 0; i < scopes.Count; i++)
        {
            if (!ApiKeyScopes.All.Contains(scopes[i]))
            {
                throw body.Wrong($"scopes[{i}]", $"must be one of {string.Join(", ", ApiKeyScopes.All)}");
            }
        }

        return [.. scopes.Distinct()];
    }

    private static DateTimeOffset? ReadExpiry(RequestObject body, DateTimeOffset now)
    {
        if (body.String("expires_at", 1, 64) is not { } text)
        {
            return null;
        }

        if (!RfcTime().IsMatch(text) || !DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time))
        {
            throw body.Wrong("expires_at", "must be a time as in 2026-11-20T09:15:03Z");
        }

        return time > now ? time : throw body.Wrong("expires_at", "must be in the future");
    }

    private static string? ReadAgent(RequestObject body, bool isWidget)
    {
        var text = body.String("agent_id", 1, 256);
        if (isWidget != text is not null)
        {
            throw body.Wrong("agent_id", isWidget ? "is required for a widget key" : "is for widget keys alone");
        }

        return text is null ? null
            : Id.TryParse(Id.Agent, text, out var id) ? id
            : throw ApiException.NotFound("agent", "agent_id");
    }

    private static IReadOnlyList<string>? ReadOrigins(RequestObject body, bool isWidget)
    {
        var origins = body.Strings("allowed_origins", OriginsMax, 256);
        if (isWidget != origins is not null || origins is { Count: 0 })
        {
            throw body.Wrong("allowed_origins",
                isWidget ? "needs 1 to 50 origins for a widget key" : "is for widget keys alone");
        }

        for (var i = 0; i < origins?.Count; i++)
        {
            if (!Origin().IsMatch(origins[i]))
            {
                throw body.Wrong($"allowed_origins[{i}]", "must be an origin as in https://example.com");
            }
        }

        return origins;
    }

    [GeneratedRegex(@"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,7})?([Zz]|[+-]\d\d:\d\d)\z")]
    private static partial Regex RfcTime();

    // Scheme, host (its first label may be a star) and port; no path, no lone star.
    [GeneratedRegex(@"^https?://((\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?\z")]
    private static partial Regex Origin();
}
