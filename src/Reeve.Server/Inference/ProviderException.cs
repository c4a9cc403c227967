namespace Reeve.Server.Inference;

internal enum ProviderFault
{
    /// <summary>No connection, or it broke before the answer was whole.</summary>
    Unreachable,

    /// <summary>Silence for longer than the provider's timeout.</summary>
    Timeout,

    /// <summary>429.</summary>
    RateLimited,

    /// <summary>5xx, overloaded.</summary>
    Overloaded,

    /// <summary>401 or 403: the operator's credential is refused.</summary>
    Refused,

    /// <summary>Another 4xx: the request does not suit the model.</summary>
    BadRequest,

    /// <summary>An answer that is not what the protocol says.</summary>
    Malformed,

    /// <summary>Not asked: as many calls are under way as are allowed, or its circuit has just opened.</summary>
    Busy,
}

/// <summary>
/// A model call that failed. The message is for the operator's log; it holds neither content nor keys.
/// </summary>
internal sealed class ProviderException(ProviderFault fault, string message, Exception? inner = null)
    : Exception(message, inner)
{
    internal ProviderFault Fault { get; } = fault;

    internal int? RetryAfterSeconds { get; init; }

    /// <summary>
    /// Of several texts, how many had got their vectors before it failed: the provider is paid for those.
    /// </summary>
    internal int TextsAnswered { get; set; }

    /// <summary>The request's parameter that this model does not take, where the provider names it.</summary>
    internal string? UnsupportedParameter { get; init; }
}
