using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Reeve.Server.Tests;

/// <summary>An answer that was read to its end.</summary>
internal sealed record TestAnswer(int Status, string Text, HttpResponseMessage Message)
{
    internal JsonElement Json => JsonElement.Parse(Text);

    /// <summary>The member <c>error.code</c>; null when the body is no error.</summary>
    internal string? ErrorCode => Error("code");

    internal string? ErrorParam => Error("param");

    /// <summary>A header's value; null when the answer has none.</summary>
    internal string? Header(string name) =>
        Message.Headers.TryGetValues(name, out var values)
        || Message.Content.Headers.TryGetValues(name, out values) ? string.Join(',', values) : null;

    private string? Error(string member) =>
        Json.TryGetProperty("error", out var error) ? error.GetProperty(member).GetString() : null;
}

/// <summary>Calls a server with one key; for streams and the like there is <see cref="Http"/>.</summary>
internal sealed class TestClient : IDisposable
{
    internal TestClient(Uri url, string? key)
    {
        Http = new HttpClient { BaseAddress = url, Timeout = TestServer.Timeout };
        Http.DefaultRequestHeaders.Authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
    }

    internal HttpClient Http { get; }

    internal Task<TestAnswer> GetAsync(string path) => SendAsync("GET", path, null);

    internal Task<TestAnswer> PostAsync(string path, string json) => SendAsync("POST", path, json);

    internal Task<TestAnswer> PutAsync(string path, string json) => SendAsync("PUT", path, json);

    internal Task<TestAnswer> PatchAsync(string path, string json) => SendAsync("PATCH", path, json);

    internal Task<TestAnswer> DeleteAsync(string path) => SendAsync("DELETE", path, null);

    internal async Task<TestAnswer> SendAsync(
        string method, string path, string? json, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Content = json is null ? null : new StringContent(json, Encoding.UTF8, "application/json");
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return await SendAsync(request);
    }

    internal async Task<TestAnswer> SendAsync(HttpRequestMessage request)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var message = await Http.SendAsync(request, cancellationToken);
        return new TestAnswer(
            (int)message.StatusCode, await message.Content.ReadAsStringAsync(cancellationToken), message);
    }

    public void Dispose() => Http.Dispose();
}
