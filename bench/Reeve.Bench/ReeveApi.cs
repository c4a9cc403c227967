using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;

namespace Reeve.Bench;

/// <summary>Reeve over its wire contract alone; the benchmark knows nothing of its inside.</summary>
internal sealed class ReeveApi : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false });

    internal ReeveApi(Uri url, string key)
    {
        _http.BaseAddress = url;
        _http.DefaultRequestHeaders.Authorization = new("Bearer", key);
    }

    internal async Task<JsonElement> GetAsync(string path, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        return await SendAsync(request, cancellationToken);
    }

    internal async Task<JsonElement> PostAsync(string path, string body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = Json(body) };
        return await SendAsync(request, cancellationToken);
    }

    /// <summary>False: the server does not have this path (yet).</summary>
    internal async Task<bool> TryPatchAsync(string path, string body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Patch, path) { Content = Json(body) };
        using var response = await _http.SendAsync(request, cancellationToken);
        if (response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed)
        {
            return false;
        }

        await RequireSuccessAsync(request, response, cancellationToken);
        return true;
    }

    /// <summary>A counter of <c>/metrics</c> by the end of its name, summed over labels; null: none.</summary>
    internal async Task<double?> CounterAsync(string name, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        using var response = await _http.SendAsync(request, cancellationToken);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            return null;
        }

        double? sum = null;
        var text = await response.Content.ReadAsStringAsync(cancellationToken);
        foreach (var line in text.Split('\n').Where(line => !line.StartsWith('#')))
        {
            var end = line.IndexOfAny(['{', ' ']);
            if (end > 0 && line[..end].EndsWith(name, StringComparison.Ordinal))
            {
                // After the labels: the value, and perhaps a time.
                var labelsEnd = Math.Max(end, line.LastIndexOf('}') + 1);
                var value = line[labelsEnd..].Trim().Split(' ')[0];
                sum = (sum ?? 0) + double.Parse(value, CultureInfo.InvariantCulture);
            }
        }

        return sum;
    }

    public void Dispose() => _http.Dispose();

    private static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");

    private async Task<JsonElement> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var response = await _http.SendAsync(request, cancellationToken);
        await RequireSuccessAsync(request, response, cancellationToken);
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var document = await JsonDocument.ParseAsync(body, default, cancellationToken);
        return document.RootElement.Clone();
    }

    private static async Task RequireSuccessAsync(
        HttpRequestMessage request, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (!response.IsSuccessStatusCode)
        {
            var text = await response.Content.ReadAsStringAsync(cancellationToken);
            throw new BenchException(
                $"Reeve answered {(int)response.StatusCode} to {request.Method} {request.RequestUri}: {text}");
        }
    }
}
