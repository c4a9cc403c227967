using System.Text.Json.Nodes;

namespace Reeve.Server.Http;

/// <summary>The errors of an endpoint that have one status.</summary>
internal sealed record OpenApiErrorAnswer(
    int Status, IReadOnlyList<string> Codes, bool TellsWhenToRetry, bool TellsNotToRetry)
{
    internal IEnumerable<OpenApiHeader> Headers()
    {
        if (Status == StatusCodes.Status401Unauthorized)
        {
            yield return new OpenApiHeader("WWW-Authenticate", "Bearer");
        }

        if (TellsWhenToRetry)
        {
            yield return new OpenApiHeader("Retry-After", "Whole seconds, at least 1, where waiting helps.");
        }

        if (TellsNotToRetry)
        {
            yield return new OpenApiHeader(
                "x-should-retry", "false where the same request would be refused again or cost again.");
        }
    }
}

/// <summary>The error answers of an endpoint, in the words of its wire.</summary>
internal static class OpenApiErrorAnswers
{
    /// <summary>What a 404 may speak of that has a word of its own in a dialect.</summary>
    private static readonly string?[] Things = [null, "agent", "conversation", "run", "memory"];

    private static readonly ApiErrorCode[] Passing =
        [ApiErrorCodes.RateLimited, ApiErrorCodes.ProviderUnavailable, ApiErrorCodes.Unavailable];

    /// <summary>With which a run may fail whose caller waits, and that clients answer by asking again.</summary>
    private static readonly ApiErrorCode[] OfRuns =
        [ApiErrorCodes.ProviderUnavailable, ApiErrorCodes.InternalError, ApiErrorCodes.Unavailable];

    /// <summary>What every endpoint of this kind answers, and what this one declares.</summary>
    internal static IEnumerable<OpenApiErrorAnswer> Of(RouteEndpoint endpoint, string method, ErrorDialect dialect)
    {
        var declared = endpoint.Metadata.GetOrderedMetadata<OpenApiErrors>();
        var missing = declared.SelectMany(static one => one.Missing).ToList();
        var runs = declared.Any(static one => one.Codes.Contains(ApiErrorCodes.ProviderUnavailable));
        var common = Common(endpoint, method).Concat(declared.SelectMany(static one => one.Codes))
            .Select(static code => new ApiException(code, ""));
        var absent = missing.Count == 0 && endpoint.RoutePattern.Parameters.Count > 0
            ? [ApiException.NotFound("thing")]
            : missing.Select(static thing => ApiException.NotFound(thing));
        return common.Concat(absent).Select(error => (Error: error, Shown: dialect.Show(error)))
            .GroupBy(static one => one.Shown.Status).OrderBy(static group => group.Key)
            .Select(group => new OpenApiErrorAnswer(
                group.Key,
                [.. group.Select(static one => one.Shown.Code).Distinct().Order(StringComparer.Ordinal)],
                group.Any(static one => Passing.Contains(one.Error.Code)),
                group.Any(one => one.Error.Code == ApiErrorCodes.ConversationLimitExceeded
                    || (runs && OfRuns.Contains(one.Error.Code)))));
    }

    internal static JsonObject Response(ErrorDialect dialect, OpenApiErrorAnswer error, JsonObject headers) => new()
    {
        ["description"] = string.Join(", ", error.Codes),
        ["headers"] = headers,
        ["content"] = new JsonObject
        {
            [ApiJson.MediaType] = new JsonObject { ["schema"] = Http.Schema.Ref(dialect.SchemaName) },
        },
    };

    internal static JsonObject Schema(ErrorDialect dialect)
    {
        var codes = ApiErrorCodes.All.SelectMany(code => Things.Select(thing =>
            dialect.Show(new ApiException(code, "") { Missing = thing }))).ToList();
        var error = Http.Schema.Record(
            ("code", Http.Schema.Word([.. codes.Select(static shown => shown.Code).Distinct()])),
            ("message", Http.Schema.Text().About("One sentence that can be acted on.")),
            ("type", Http.Schema.Word([.. codes.Select(static shown => shown.Type).Distinct()])
                .About("The family of the code.")),
            ("param", Http.Schema.Text().OrNull().About("JSON path, header or query name that is to blame.")),
            ("request_id", Http.Schema.Id(Id.Request)));
        foreach (var member in dialect.RunMembers)
        {
            error.Maybe(member, Http.Schema.Text().About("There when the error concerns a run."));
        }

        return Http.Schema.Record(("error", error));
    }

    private static IEnumerable<ApiErrorCode> Common(RouteEndpoint endpoint, string method)
    {
        if (endpoint.Metadata.GetMetadata<AccessRule>() is not { IsPublic: true })
        {
            yield return ApiErrorCodes.InvalidRequest;
            yield return ApiErrorCodes.Unauthorized;
            yield return ApiErrorCodes.Forbidden;
            yield return ApiErrorCodes.RateLimited;
        }

        if (endpoint.Metadata.GetMetadata<OpenApiBody>() is not null)
        {
            yield return ApiErrorCodes.PayloadTooLarge;
        }

        if (!HttpMethods.IsGet(method))
        {
            yield return ApiErrorCodes.StorageFull;
        }

        yield return ApiErrorCodes.InternalError;
        yield return ApiErrorCodes.Unavailable;
    }
}
