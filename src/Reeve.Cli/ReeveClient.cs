using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Reeve.Cli;

/// <summary>A server did not do what a command asked of it; the message is a sentence for who typed it.</summary>
internal sealed class ClientException(string message, HttpStatusCode? status = null) : Exception(message)
{
    /// <summary>What the server answered; null: nothing.</summary>
    internal HttpStatusCode? Status => status;

    /// <summary>True: this one request was refused, and others may succeed.</summary>
    internal bool IsOfOne => status is HttpStatusCode.BadRequest or HttpStatusCode.Conflict
        or HttpStatusCode.RequestEntityTooLarge;
}

/// <summary>A server as the commands see it that are its clients.</summary>
internal sealed class ReeveClient : IDisposable
{
    internal const string DefaultUrl = "http://127.0.0.1:5080";
    private const int TriesMax = 6;
    private const int RetryAfterSecondsMax = 60;

    private readonly HttpClient _http;

    internal ReeveClient(string url, string? key)
    {
        if (!Uri.TryCreate(url.TrimEnd('/') + "/", UriKind.Absolute, out var address)
            || address.Scheme is not ("http" or "https"))
        {
            throw new ClientException($"\"{url}\" is no http or https address.");
        }

        if (string.IsNullOrWhiteSpace(key) || key.AsSpan().ContainsAnyExceptInRange('!', '~'))
        {
            throw new ClientException("A key is needed: set REEVE_KEY.");
        }

        _http = new HttpClient(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false })
        {
            BaseAddress = address,
            Timeout = TimeSpan.FromMinutes(10), // An upload over a slow line, and its reading.
        };
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    internal static Option<string> UrlOption() => new("--url")
    {
        Description = "Address of the server (default: REEVE_URL, then " + DefaultUrl + ").",
        HelpName = "URL",
        DefaultValueFactory = static _ => Environment.GetEnvironmentVariable("REEVE_URL") ?? DefaultUrl,
    };

    internal static Option<string?> KeyOption() => new("--key")
    {
        Description = "API key; other users of this machine can see it here, so better set REEVE_KEY.",
        HelpName = "KEY",
        DefaultValueFactory = static _ => Environment.GetEnvironmentVariable("REEVE_KEY"),
    };

    public void Dispose() => _http.Dispose();

    /// <summary>Sends a request, again after a while when the server asks for that; answers status and JSON.</summary>
    /// <param name="method">Of HTTP.</param>
    /// <param name="path">From the address of the server on.</param>
    /// <param name="content">Makes the body, anew for each try.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ClientException">The server refuses it, or there is none.</exception>
    internal async Task<(HttpStatusCode Status, JsonElement Body)> SendAsync(
        HttpMethod method, string path, Func<HttpContent>? content, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            using var request = new HttpRequestMessage(method, path) { Content = content?.Invoke() };
            HttpResponseMessage answer;
            try
            {
                answer = await _http.SendAsync(request, cancellationToken);
            }
            catch (HttpRequestException error)
            {
                throw new ClientException($"No server answers at {_http.BaseAddress}: {error.Message}");
            }
            catch (TaskCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new ClientException($"The server at {_http.BaseAddress} took too long to answer.");
            }

            using (answer)
            {
                var body = await answer.Content.ReadAsByteArrayAsync(cancellationToken);
                if (answer.IsSuccessStatusCode)
                {
                    return (answer.StatusCode, body.Length == 0 ? default : Parse(body));
                }

                if (attempt < TriesMax && answer.Headers.RetryAfter?.Delta is { } wait
                    && wait <= TimeSpan.FromSeconds(RetryAfterSecondsMax))
                {
                    await Task.Delay(wait, TimeProvider.System, cancellationToken);
                    continue;
                }

                throw Refused(answer.StatusCode, body);
            }
        }
    }

    private JsonElement Parse(byte[] body)
    {
        try
        {
            return JsonElement.Parse(body);
        }
        catch (JsonException)
        {
            throw new ClientException($"What answers at {_http.BaseAddress} is no Reeve server.");
        }
    }

    private static ClientException Refused(HttpStatusCode status, byte[] body)
    {
        string? message = null;
        try
        {
            message = JsonElement.Parse(body).GetProperty("error").GetProperty("message").GetString();
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            // It is not one of ours; the status has to do.
        }

        return new ClientException(
            message ?? string.Create(CultureInfo.InvariantCulture, $"The server answers with status {(int)status}."),
            status);
    }
}
