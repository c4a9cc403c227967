using System.Globalization;
using System.Net;
using System.Text.Json;

namespace Reeve.Server.Inference.Providers;

/// <summary>
/// What an answer with a bad status means. Of its body only the words of a closed kind are taken (<c>type</c>,
/// <c>code</c>, <c>param</c>), never the message: providers quote prompts and keys in it.
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
            FaultOf(status), $"{provider} answered {status}{(known.Length > 0 ? $" ({known})" : "")}.")
        {
            RetryAfterSeconds = RetryAfter(response, time),
            UnsupportedParameter = words.Code is "unsupported_parameter" or "unsupported_value" ? words.Param : null,
        };
    }

    internal static ProviderFault FaultOf(int status) => status switch
    {
        429 => ProviderFault.RateLimited,
        408 => ProviderFault.Timeout,
        >= 500 => ProviderFault.Overloaded,
        (int)HttpStatusCode.Unauthorized or (int)HttpStatusCode.Forbidden => ProviderFault.Refused,
        >= 400 => ProviderFault.BadRequest,

        // A redirect is not followed: the credential is for the address that the operator named.
        _ => ProviderFault.Malformed,
    };

    /// <summary>By the error types of both protocols.</summary>
    private static ProviderFault FaultOf(string? type) => type switch
    {
        "rate_limit_error" or "rate_limit_exceeded" or "insufficient_quota" => ProviderFault.RateLimited,
        "authentication_error" or "permission_error" or "billing_error" => ProviderFault.Refused,
        "invalid_request_error" or "not_found_error" or "request_too_large" => ProviderFault.BadRequest,
        "timeout_error" => ProviderFault.Timeout,
        _ => ProviderFault.Overloaded,
    };

    /// <summary>An error that a provider sends in the place of an answer, after it had said 200.</summary>
    internal static ProviderException FromBody(JsonElement error)
    {
        if (error.ValueKind != JsonValueKind.Object)
        {
            return new ProviderException(ProviderFault.Overloaded, "The provider sent an error in its answer.");
        }

        var (type, code) = (Find(error, "type"), Find(error, "code"));
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

    private static async Task<(string? Type, string? Code, string? Param)> ReadWordsAsync(ProviderCall call)
    {
        try
        {
            using var body = await call.ReadWholeAsync(BodyBytesMax);
            using var document = JsonDocument.Parse(body.Memory);
            var root = document.RootElement;
            return root.ValueKind == JsonValueKind.Object && root.TryGetProperty("error", out var error)
                && error.ValueKind == JsonValueKind.Object
                ? (Find(error, "type"), Find(error, "code"), Find(error, "param"))
                : default;
        }
        catch (Exception error) when (error is JsonException or ProviderException or InvalidOperationException)
        {
            // The status has said it already; a body that cannot be read adds nothing.
            return default;
        }
    }

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
}
