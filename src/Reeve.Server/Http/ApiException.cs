namespace Reeve.Server.Http;

/// <summary>
/// An error for the caller: one sentence that can be acted on, without content, keys or another account's data.
/// </summary>
internal sealed class ApiException(ApiErrorCode code, string message, string? param = null) : Exception(message)
{
    internal ApiErrorCode Code { get; } = code;

    /// <summary>JSON path, header or query name that is to blame.</summary>
    internal string? Param { get; } = param;

    internal string? RunId { get; init; }

    internal string? ConversationId { get; init; }

    /// <summary>Seconds for <c>Retry-After</c>; null sends none.</summary>
    internal int? RetryAfterSeconds { get; init; }

    /// <summary>
    /// True when the same request would be refused again or cost again: clients that repeat by themselves are told not
    /// to, in the header <c>x-should-retry</c> that the OpenAI and Anthropic clients read.
    /// </summary>
    internal bool IsFinal { get; init; }

    /// <summary>The request named in the body when it is not the one that is answered (an idempotent replay).</summary>
    internal string? RequestId { get; init; }

    /// <summary>
    /// The names of the glossary's things that a 404 may speak of; a dialect may have a code for each.
    /// </summary>
    internal string? Missing { get; init; }

    internal static ApiException Invalid(string message, string? param) =>
        new(ApiErrorCodes.InvalidRequest, message, param);

    /// <summary>
    /// The one answer for an id that never existed, is malformed, was deleted or is another account's.
    /// </summary>
    internal static ApiException NotFound(string what, string? param = null) =>
        new(ApiErrorCodes.NotFound, $"No such {what} exists in this account.", param) { Missing = what };
}
