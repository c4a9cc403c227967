using System.Buffers;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;

namespace Reeve.Reliability.Load;

/// <summary>How reading a stream went.</summary>
internal enum StreamRead
{
    /// <summary>The last frame of the run came, or the server says that nothing follows.</summary>
    Ended,

    /// <summary>The connection broke, or the reader stopped at its limit.</summary>
    Cut,

    /// <summary>The server answered something else; <see cref="StreamClient.Refusal"/> has it.</summary>
    Refused,
}

/// <summary>
/// A reader of one run's stream in either dialect. It keeps whole frames byte for byte, and the beginning of a frame
/// that was cut, which must begin the next one after a resume.
/// </summary>
internal sealed class StreamClient(HttpClient http, string agent)
{
    private readonly ArrayBufferWriter<byte> _frames = new();
    private readonly Lock _lock = new();
    private byte[] _cut = [];

    /// <summary>What was wrong with the bytes themselves; null: nothing.</summary>
    internal string? Problem { get; private set; }

    /// <summary>Status and body of an answer that was no stream.</summary>
    internal (int Status, string Body) Refusal { get; private set; }

    /// <summary>True once the server said that nothing follows.</summary>
    internal bool IsEnded { get; private set; }

    internal string? LastId { get; private set; }

    /// <summary>What it waits for, for the text of problems.</summary>
    internal string Stage { get; private set; } = "nothing";

    internal string? RunId { get; private set; }

    internal string? TaskId { get; private set; }

    /// <summary>Bytes of whole frames so far.</summary>
    internal long Length
    {
        get
        {
            lock (_lock)
            {
                return _frames.WrittenCount;
            }
        }
    }

    internal byte[] Bytes
    {
        get
        {
            lock (_lock)
            {
                return _frames.WrittenSpan.ToArray();
            }
        }
    }

    /// <summary>Where the stream of the run is read again.</summary>
    internal string EventsPath => TaskId is null
        ? $"/v1/runs/{RunId}/events"
        : $"/api/tasks/{TaskId}/runs/{RunId}/events";

    /// <summary>Starts a run as a stream.</summary>
    internal Task<StreamRead> StartAsync(
        Uri server, Dialect dialect, string input, string? key, long bytesMax = long.MaxValue,
        CancellationToken cancellationToken = default)
    {
        var request = dialect.Run(server, agent, input, asStream: true);
        if (key is not null)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        return ReadAsync(request, bytesMax, cancellationToken);
    }

    /// <summary>Goes on after the last whole frame, with the cursor in the header or in the query.</summary>
    internal Task<StreamRead> ResumeAsync(
        Uri server, bool inQuery, long bytesMax = long.MaxValue, CancellationToken cancellationToken = default)
    {
        var path = EventsPath + (inQuery && LastId is not null ? $"?starting_after={LastId}" : "");
        var request = Dialect.Request(HttpMethod.Get, server, path, agent);
        if (!inQuery && LastId is not null)
        {
            request.Headers.Add("Last-Event-ID", LastId);
        }

        return ReadAsync(request, bytesMax, cancellationToken);
    }

    /// <summary>Another reader of the same run, who has read nothing yet.</summary>
    internal StreamClient Again() => new(http, agent) { RunId = RunId, TaskId = TaskId };

    /// <summary>The whole stream as a late reader gets it; null: not to be had now.</summary>
    internal async Task<byte[]?> ReplayAsync(Uri server, CancellationToken cancellationToken = default)
    {
        var late = Again();
        return await late.ResumeAsync(server, inQuery: false, cancellationToken: cancellationToken) == StreamRead.Ended
            ? late.Bytes
            : null;
    }

    private async Task<StreamRead> ReadAsync(
        HttpRequestMessage request, long bytesMax, CancellationToken cancellationToken)
    {
        using (request)
        {
            try
            {
                Stage = $"the answer to {request.Method} {request.RequestUri}";
                using var answer = await http.SendAsync(
                    request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
                if ((int)answer.StatusCode == 204)
                {
                    IsEnded = true;
                    return StreamRead.Ended;
                }

                if ((int)answer.StatusCode != 200 || answer.Content.Headers.ContentType is not
                    { MediaType: "text/event-stream" })
                {
                    Refusal = ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(cancellationToken));
                    return StreamRead.Refused;
                }

                Stage = $"more of {request.Method} {request.RequestUri} after {LastId}";
                await using var body = await answer.Content.ReadAsStreamAsync(cancellationToken);
                return await ReadAsync(body, bytesMax, cancellationToken);
            }
            catch (Exception error) when (error is HttpRequestException or IOException
                || (error is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                return StreamRead.Cut;
            }
        }
    }

    private async Task<StreamRead> ReadAsync(Stream body, long bytesMax, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        var (start, length, left) = (0, 0, bytesMax);
        var before = _cut;
        var isEnd = false;
        try
        {
            while (left > 0)
            {
                if (length == buffer.Length)
                {
                    Array.Resize(ref buffer, buffer.Length * 2);
                }

                var count = await body.ReadAsync(
                    buffer.AsMemory(length, (int)Math.Min(left, buffer.Length - length)), cancellationToken);
                if (count == 0)
                {
                    break;
                }

                left -= count;
                length += count;
                int end;
                while ((end = buffer.AsSpan(start, length - start).IndexOf("\n\n"u8)) >= 0)
                {
                    isEnd = Take(buffer.AsSpan(start, end + 2), before);
                    before = buffer[start] == ':' ? before : [];
                    start += end + 2;
                }

                (start, length) = Shift(buffer, start, length);
            }
        }
        finally
        {
            KeepCut(buffer.AsSpan(start, length - start), before);
        }

        IsEnded |= isEnd;
        return isEnd ? StreamRead.Ended : StreamRead.Cut;
    }

    private static (int Start, int Length) Shift(byte[] buffer, int start, int length)
    {
        buffer.AsSpan(start, length - start).CopyTo(buffer);
        return (0, length - start);
    }

    // True: it was the last one of the run.
    private bool Take(ReadOnlySpan<byte> frame, byte[] cut)
    {
        if (frame[0] == (byte)':')
        {
            return false; // A heartbeat is no part of the stream's text.
        }

        if (!frame.StartsWith(cut))
        {
            Problem ??= $"a frame that was cut began {Encoding.UTF8.GetString(cut)}, "
                + $"and after the resume it is {Encoding.UTF8.GetString(frame)}";
        }

        lock (_lock)
        {
            _frames.Write(frame);
        }

        var text = Encoding.UTF8.GetString(frame);
        if (!text.StartsWith("id: ", StringComparison.Ordinal))
        {
            Problem ??= $"a frame has no id: {text}";
            return false;
        }

        var id = text[4..text.IndexOf('\n', StringComparison.Ordinal)];
        var expected = LastId is null ? 1 : long.Parse(LastId, CultureInfo.InvariantCulture) + 1;
        if (id != expected.ToString(CultureInfo.InvariantCulture))
        {
            Problem ??= $"frame {id} came where {expected} is due";
        }

        LastId = id;
        if (RunId is null)
        {
            RunId = Find(text, "run_");
            TaskId = Find(text, "task_");
        }

        return Dialect.IsEnd(text);
    }

    // Of a frame that was cut twice the longer beginning counts.
    private void KeepCut(ReadOnlySpan<byte> rest, byte[] before)
    {
        if (rest.Length > 0 && rest[0] == (byte)':')
        {
            rest = [];
        }

        var common = Math.Min(rest.Length, before.Length);
        if (!rest[..common].SequenceEqual(before.AsSpan(0, common)))
        {
            Problem ??= "the beginning of a frame that was cut changed";
        }

        _cut = rest.Length >= before.Length ? rest.ToArray() : before;
    }

    private static string? Find(string text, string prefix)
    {
        var at = text.IndexOf($"\"{prefix}0", StringComparison.Ordinal);
        return at < 0 ? null : text.Substring(at + 1, prefix.Length + Server.Id.BodyLength);
    }
}

/// <summary>One of the two APIs as a client speaks it.</summary>
internal sealed record Dialect(string Path, bool IsMesh)
{
    internal static readonly Dialect Mesh = new("/v1/agents/runs", true);
    internal static readonly Dialect Auteryn = new("/api/run", false);

    private static readonly string[] Ends =
    [
        "\nevent: run.completed\n", "\nevent: run.failed\n", "\nevent: run.cancelled\n",
        "\ndata: {\"type\":\"run_completed\"", "\ndata: {\"type\":\"run_failed\"",
        "\ndata: {\"type\":\"run_cancelled\"",
    ];

    /// <summary>A request that starts a run; <paramref name="members"/> go into the body as they are.</summary>
    internal HttpRequestMessage Run(Uri server, string agent, string input, bool asStream, string members = "")
    {
        var flag = asStream ? "true" : "false";
        var request = Request(HttpMethod.Post, server, Path, agent);
        request.Content = Json(IsMesh
            ? $$"""{"agent":"{{agent}}","input":"{{input}}","stream":{{flag}}{{members}}}"""
            : $$"""{"query":"{{input}}","stream":{{flag}}{{members}}}""");
        return request;
    }

    internal static HttpRequestMessage Request(HttpMethod method, Uri server, string path, string? agent = null)
    {
        var request = new HttpRequestMessage(method, new Uri(server, path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Server.Tests.TestServer.AdminKey);
        if (agent is not null && path.StartsWith("/api/", StringComparison.Ordinal))
        {
            request.Headers.Add("X-Agent-Id", agent);
        }

        return request;
    }

    internal static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");

    internal static bool IsEnd(string frame) => Ends.Any(end => frame.Contains(end, StringComparison.Ordinal));
}
