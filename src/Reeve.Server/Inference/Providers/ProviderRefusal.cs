using System.Globalization;
using System.Text.Json;

namespace Reeve.Server.Inference.Providers;

/// <summary>
/// What an answer with a bad status means. Of its body only the words of a closed kind are taken (<c>type</c>,
/// <c>code</c>, <c>param</c>, and Gemini's <c>status</c>, <c>reason</c> and <c>retryDelay</c>), never the message:
/// providers quote prompts and keys in it.
/// </summary>
internal static class ProviderRefusal
{
    private const int BodyBytesMax = 64 * 1024;
    private const int WordLengthMax = 64;
    private const int RetryAfterSecondsMax = 24 * 60 * 60;

    internal static async Task<ProviderException> ReadAsync(
        string provider, HttpResponseMessage response, ProviderCall call, TimeProvider time)
    {
        var status = (int)response.StatusCode;
        var words = await ReadWordsAsync(call);
        var known = string.Join(", ", new[] { words.Type, words.Code, words.Param }.Where(word => word is not null));
        return new ProviderException(
            words.RefusesKey ? ProviderFault.Refused : FaultOf(status),
            $"{provider} answered {status}{(known.Length > 0 ? $" ({known})" : "")}.")
        {
            RetryAfterSeconds = RetryAfter(response, time) ?? words.RetryAfterSeconds,
            UnsupportedParameter = words.IsUnsupported ? words.Param : null,
        };
    }

    internal static ProviderFault FaultOf(int status) => status switch
    {
        429 => ProviderFault.RateLimited,
        408 => ProviderFault.Timeout,
        >= 500 => ProviderFault.Overloaded,
        401 or 402 or 403 => ProviderFault.Refused,
        >= 400 => ProviderFault.BadRequest,

        // A redirect is not followed: the credential is for the address that the operator named.
        _ => ProviderFault.Malformed,
    };

    /// <summary>By the error types of the protocols.</summary>
    private static ProviderFault FaultOf(string? type) => type switch
    {
        "rate_limit_error" or "rate_limit_exceeded" or "insufficient_quota" or "RESOURCE_EXHAUSTED" =>
            ProviderFault.RateLimited,
        "authentication_error" or "permission_error" or "billing_error" or "UNAUTHENTICATED"
            or "PERMISSION_DENIED" => ProviderFault.Refused,
        "invalid_request_error" or "not_found_error" or "request_too_large" or "invalid_prompt"
            or "INVALID_ARGUMENT" or "NOT_FOUND" or "FAILED_PRECONDITION" => ProviderFault.BadRequest,
        "timeout_error" or "DEADLINE_EXCEEDED" => ProviderFault.Timeout,
        _ => ProviderFault.Overloaded,
    };

    /// <summary>An error that a provider sends in the place of an answer, after it had said 200.</summary>
    internal static ProviderException FromBody(JsonElement error)
    {
        if (error.ValueKind != JsonValueKind.Object)
        {
            return new ProviderException(ProviderFault.Overloaded, "The provider sent an error in its answer.");
        }

        // An event that is nothing but an error says so by its type.
        var type = Find(error, "type") is { } said and not "error" ? said : Find(error, "status");
        var code = Find(error, "code");
        var fault = int.TryParse(code, NumberStyles.None, CultureInfo.InvariantCulture, out var status)
            && status is >= 400 and < 600
            ? FaultOf(status)
            : FaultOf(type ?? code);
        return new ProviderException(
            fault, $"The provider sent an error in its answer ({type ?? "no type"}, {code ?? "no code"}).");
    }

    /// <summary>A word that a log may show: short, and made of the characters of identifiers.</summary>
    internal static string? Word(JsonElement value)
    {
        var text = value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Number => value.GetRawText(),
            _ => "",
        };
        return text.Length is > 0 and <= WordLengthMax
            && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '_' or '.' or '-')
            ? text
            : null;
    }

    private static async Task<Words> ReadWordsAsync(ProviderCall call)
    {
        try
        {
            using var body = await call.ReadWholeAsync(BodyBytesMax);
            using var document = JsonDocument.Parse(body.Memory);
            return JsonText.Member(document.RootElement, "error") is { ValueKind: JsonValueKind.Object } error
                ? ReadWords(error)
                : default;
        }
        catch (Exception error) when (error is JsonException or ProviderException or InvalidOperationException)
        {
            // The status has said it already; a body that cannot be read adds nothing.
            return default;
        }
    }

    private static Words ReadWords(JsonElement error)
    {
        var words = new Words
        {
            Type = Find(error, "type") ?? Find(error, "status"),
            Code = Find(error, "code"),
            Param = Find(error, "param"),
        };

        // Responses says it in the message alone, of which nothing else is looked at.
        words.IsUnsupported = words.Code is "unsupported_parameter" or "unsupported_value"
            || Text(error, "message")?.StartsWith("Unsupported parameter", StringComparison.Ordinal) == true;

        // Gemini says in details that a key is wrong, which is a 400 there, and how long to wait ("17s").
        foreach (var detail in JsonText.Items(error, "details"))
        {
            words.RefusesKey |= Text(detail, "reason") == "API_KEY_INVALID";
            if (Text(detail, "retryDelay") is [>= '0' and <= '9', .., 's'] delay && decimal.TryParse(
                delay.AsSpan(0, delay.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture,
                out var seconds))
            {
                words.RetryAfterSeconds = (int)decimal.Ceiling(Math.Min(seconds, RetryAfterSecondsMax));
            }
        }

        return words;
    }

    private static string? Text(JsonElement element, string name) =>
        JsonText.Member(element, name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    private static string? Find(JsonElement error, string name) =>
        error.TryGetProperty(name, out var value) ? Word(value) : null;

    private static int? RetryAfter(HttpResponseMessage response, TimeProvider time)
    {
        var wait = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - time.GetUtcNow(),
            _ => (TimeSpan?)null,
        };
        return wait is { } known ? (int)Math.Clamp(Math.Ceiling(known.TotalSeconds), 0, RetryAfterSecondsMax) : null;
    }

    private struct Words
    {
        internal string? Type;
        internal string? Code;
        internal string? Param;
        internal int? RetryAfterSeconds;
        internal bool RefusesKey;
        internal bool IsUnsupported;
    }
}
