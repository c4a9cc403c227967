namespace Reeve.Server.Http;

/// <summary>One error of the wire: its code, the status and family it answers with.</summary>
internal sealed record ApiErrorCode(string Code, int Status, string Type);

/// <summary>
/// The closed set of error codes (<c>wire-mesh</c> 1.4). Each has a row in docs/errors.md; a code is never renamed or
/// used for something else.
/// </summary>
internal static class ApiErrorCodes
{
    internal static readonly ApiErrorCode InvalidRequest = new("invalid_request", 400, "invalid_request");
    internal static readonly ApiErrorCode Unauthorized = new("unauthorized", 401, "unauthorized");
    internal static readonly ApiErrorCode InsufficientFunds = new("insufficient_funds", 402, "insufficient_funds");
    internal static readonly ApiErrorCode Forbidden = new("forbidden", 403, "forbidden");
    internal static readonly ApiErrorCode NotFound = new("not_found", 404, "not_found");
    internal static readonly ApiErrorCode MethodNotAllowed = new("method_not_allowed", 405, "invalid_request");
    internal static readonly ApiErrorCode Conflict = new("conflict", 409, "conflict");
    internal static readonly ApiErrorCode ConversationBusy = new("conversation_busy", 409, "conflict");
    internal static readonly ApiErrorCode ConversationEnded = new("conversation_ended", 409, "conflict");
    internal static readonly ApiErrorCode Gone = new("gone", 410, "gone");
    internal static readonly ApiErrorCode PayloadTooLarge = new("payload_too_large", 413, "payload_too_large");
    internal static readonly ApiErrorCode NoPermittedRoute = new("no_permitted_route", 422, "unprocessable");
    internal static readonly ApiErrorCode OutputInvalid = new("output_invalid", 422, "unprocessable");
    internal static readonly ApiErrorCode IdempotencyMismatch = new("idempotency_mismatch", 422, "unprocessable");
    internal static readonly ApiErrorCode RunLimitExceeded = new("run_limit_exceeded", 422, "unprocessable");
    internal static readonly ApiErrorCode RateLimited = new("rate_limited", 429, "rate_limited");

    internal static readonly ApiErrorCode ConversationLimitExceeded =
        new("conversation_limit_exceeded", 429, "rate_limited");

    internal static readonly ApiErrorCode InternalError = new("internal_error", 500, "internal_error");
    internal static readonly ApiErrorCode ProviderUnavailable =
        new("provider_unavailable", 503, "provider_unavailable");

    internal static readonly ApiErrorCode Unavailable = new("unavailable", 503, "unavailable");
    internal static readonly ApiErrorCode StorageFull = new("storage_full", 507, "unavailable");

    internal static readonly IReadOnlyList<ApiErrorCode> All =
    [
        InvalidRequest, Unauthorized, InsufficientFunds, Forbidden, NotFound, MethodNotAllowed, Conflict,
        ConversationBusy, ConversationEnded, Gone, PayloadTooLarge, NoPermittedRoute, OutputInvalid,
        IdempotencyMismatch, RunLimitExceeded, RateLimited, ConversationLimitExceeded, InternalError,
        ProviderUnavailable, Unavailable, StorageFull,
    ];

    internal static ApiErrorCode Find(string code) => All.FirstOrDefault(known => known.Code == code) ?? InternalError;
}
