using System.Text;

namespace Reeve.Server.Tests.Process;

/// <summary>
/// A client of both APIs that outlives the server: it keeps whole frames only, knows the last id, and resumes.
/// </summary>
internal sealed class StreamUser(Func<Uri> url, string key = TestServer.AdminKey) : IDisposable
{
    private readonly HttpClient _http = new() { Timeout = TestServer.Timeout };
    private readonly StringBuilder _text = new();
    private string _agent = "";
    private string? _lastId;

    /// <summary>The frames that came, as they were sent.</summary>
    internal string Text
    {
        get
        {
            lock (_text)
            {
                return _text.ToString();
            }
        }
    }

    internal string? RunId => Find("run_");

    internal string? TaskId => Find("task_");

    internal async Task<string> NewAgentAsync()
    {
        using var client = new TestClient(url(), key);
        var answer = await client.PostAsync("/v1/agents", """{"name":"Desk","model":"mesh/house-1"}""");
        return answer.Json.GetProperty("id").GetString()!;
    }

    /// <summary>Starts a run of either API as a stream; false: the stream broke before its end.</summary>
    internal Task<bool> StartAsync(string path, string agent, string input, string? idempotencyKey = null)
    {
        _agent = agent;
        var isMesh = path.StartsWith("/v1/", StringComparison.Ordinal);
        var request = Request(HttpMethod.Post, path + (isMesh ? "?stream=true" : ""));
        request.Content = new StringContent(
            isMesh ? $$"""{"agent":"{{agent}}","input":"{{input}}"}""" : $$"""{"query":"{{input}}"}""", Encoding.UTF8);
        if (idempotencyKey is not null)
        {
            request.Headers.Add("Idempotency-Key", idempotencyKey);
        }

        return ReadAsync(request);
    }

    /// <summary>Goes on after the last frame that came.</summary>
    internal Task<bool> ResumeAsync()
    {
        var request = Request(HttpMethod.Get, Events());
        if (_lastId is not null)
        {
            request.Headers.Add("Last-Event-ID", _lastId);
        }

        return ReadAsync(request);
    }

    /// <summary>The whole stream as a late reader gets it.</summary>
    internal async Task<string> ReplayAsync()
    {
        using var answer = await _http.SendAsync(Request(HttpMethod.Get, Events()),
            TestContext.Current.CancellationToken);
        return await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }

    public void Dispose() => _http.Dispose();

    private string Events() => TaskId is null ? $"/v1/runs/{RunId}/events" : $"/api/tasks/{TaskId}/runs/{RunId}/events";

    private HttpRequestMessage Request(HttpMethod method, string path)
    {
        var request = new HttpRequestMessage(method, new Uri(url(), path));
        request.Headers.Add("Authorization", $"Bearer {key}");
        request.Headers.Add("X-Agent-Id", _agent);
        return request;
    }

    private async Task<bool> ReadAsync(HttpRequestMessage request)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        using (request)
        {
            try
            {
                using var answer = await _http.SendAsync(
                    request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
                if ((int)answer.StatusCode is 204)
                {
                    return true;
                }

                if ((int)answer.StatusCode is 503)
                {
                    return false;
                }

                if ((int)answer.StatusCode != 200)
                {
                    Assert.Fail($"{request.RequestUri} answered {(int)answer.StatusCode}: "
                        + await answer.Content.ReadAsStringAsync(cancellationToken));
                }

                using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(cancellationToken));
                return await ReadAsync(reader, cancellationToken);
            }
            catch (Exception error) when (error is HttpRequestException or IOException)
            {
                return false;
            }
        }
    }

    private async Task<bool> ReadAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        var frame = new StringBuilder();
        while (await reader.ReadLineAsync(cancellationToken) is { } line)
        {
            frame.Append(line).Append('\n');
            if (line.Length > 0)
            {
                continue;
            }

            var text = frame.ToString();
            frame.Clear();
            if (text.StartsWith("id: ", StringComparison.Ordinal))
            {
                _lastId = text[4..text.IndexOf('\n', StringComparison.Ordinal)];
                lock (_text)
                {
                    _text.Append(text);
                }
            }
        }

        return IsEnd(Text);
    }

    internal static bool IsEnd(string text)
    {
        var last = text[(text.LastIndexOf("\nid: ", StringComparison.Ordinal) + 1)..];
        return last.Contains("event: run.completed\n", StringComparison.Ordinal)
            || last.Contains("event: run.failed\n", StringComparison.Ordinal)
            || last.Contains("event: run.cancelled\n", StringComparison.Ordinal)
            || last.Contains("{\"type\":\"run_completed\"", StringComparison.Ordinal)
            || last.Contains("{\"type\":\"run_failed\"", StringComparison.Ordinal)
            || last.Contains("{\"type\":\"run_cancelled\"", StringComparison.Ordinal);
    }

    private string? Find(string prefix)
    {
        var text = Text;
        var at = text.IndexOf($"\"{prefix}0", StringComparison.Ordinal);
        return at < 0 ? null : text.Substring(at + 1, prefix.Length + Id.BodyLength);
    }
}
