using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Reeve.Reliability.Load;

/// <summary>
/// A provider on the loopback that costs next to nothing: it answers every prompt with the same words after a set time,
/// whole or word by word, and every text with the same vector. A prompt that says "Please hang" never gets an answer.
/// </summary>
internal sealed class RawModel : IDisposable
{
    internal const string Text = "Every coin is counted once.";

    private const string Usage = "\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":20,\"total_tokens\":60}";

    private static readonly byte[] Whole = Answer("application/json",
        "{\"id\":\"c\",\"object\":\"chat.completion\",\"model\":\"house-1\",\"choices\":[{\"index\":0,\"message\":"
        + $"{{\"role\":\"assistant\",\"content\":\"{Text}\"}},\"finish_reason\":\"stop\"}}],{Usage}}}");

    private static readonly byte[][] Frames =
    [
        .. Text.Split(' ').Select(static (word, index) => Frame(
            $"[{{\"index\":0,\"delta\":{{\"content\":\"{(index == 0 ? "" : " ")}{word}\"}},\"finish_reason\":null}}]")),
        [
            .. Frame("[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]"),
            .. Frame("[]", "," + Usage), .. Chunk("data: [DONE]\n\n"), .. "0\r\n\r\n"u8,
        ],
    ];

    private static readonly byte[] StreamHead =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"u8.ToArray();

    private readonly LoopbackListener _listener;
    private readonly TimeSpan _latency;
    private readonly TimeSpan _pace;
    private long _calls;

    /// <param name="latency">Until the first byte of an answer.</param>
    /// <param name="pace">Between two words of a stream.</param>
    internal RawModel(TimeSpan latency, TimeSpan pace = default)
    {
        (_latency, _pace) = (latency, pace);
        _listener = new LoopbackListener(4096, ServeAsync);
    }

    internal long Calls => Interlocked.Read(ref _calls);

    internal string Url => string.Create(
        CultureInfo.InvariantCulture, $"http://127.0.0.1:{_listener.Port}/v1");

    public void Dispose() => _listener.Dispose();

    private static byte[] Answer(string type, string body) => Encoding.UTF8.GetBytes(
        $"HTTP/1.1 200 OK\r\nContent-Type: {type}\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");

    private static byte[] Vectors(string request)
    {
        var asked = JsonElement.Parse(request[request.IndexOf("\r\n\r\n", StringComparison.Ordinal)..]);
        var length = asked.TryGetProperty("dimensions", out var dimensions) ? dimensions.GetInt32() : 2;
        var vector = $"{{\"embedding\":[{string.Join(',', Enumerable.Repeat("0.5", length))}]}}";
        var vectors = string.Join(',', Enumerable.Repeat(vector, asked.GetProperty("input").GetArrayLength()));
        return Answer("application/json",
            $"{{\"object\":\"list\",\"data\":[{vectors}],\"usage\":{{\"prompt_tokens\":2,\"total_tokens\":2}}}}");
    }

    private static byte[] Frame(string choices, string more = "") => Chunk(
        $"data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"house-1\",\"choices\":{choices}{more}}}"
        + "\n\n");

    private static byte[] Chunk(string text) => Encoding.UTF8.GetBytes($"{text.Length:x}\r\n{text}\r\n");

    private async Task ServeAsync(Socket socket, CancellationToken stop)
    {
        using (socket)
        {
            try
            {
                socket.NoDelay = true;
                var buffer = new byte[64 * 1024];
                var end = 0;
                while (true)
                {
                    int length;
                    while ((length = RequestLength(buffer.AsSpan(0, end))) < 0)
                    {
                        if (end == buffer.Length)
                        {
                            Array.Resize(ref buffer, buffer.Length * 2);
                        }

                        var count = await socket.ReceiveAsync(buffer.AsMemory(end), stop);
                        if (count == 0)
                        {
                            return;
                        }

                        end += count;
                    }

                    Interlocked.Increment(ref _calls);
                    await AnswerAsync(socket, Encoding.UTF8.GetString(buffer, 0, length), stop);
                    buffer.AsSpan(length, end - length).CopyTo(buffer);
                    end -= length;
                }
            }
            catch (Exception error) when (error is OperationCanceledException or SocketException or IOException)
            {
                // The server went away, or this provider did.
            }
        }
    }

    private async Task AnswerAsync(Socket socket, string request, CancellationToken stop)
    {
        if (request.Contains("Please hang", StringComparison.Ordinal))
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, stop);
        }

        if (_latency > TimeSpan.Zero)
        {
            await Task.Delay(_latency, TimeProvider.System, stop);
        }

        if (request.StartsWith("POST /v1/embeddings ", StringComparison.Ordinal))
        {
            await socket.SendAsync(Vectors(request), stop);
            return;
        }

        if (!request.Contains("\"stream\":true", StringComparison.Ordinal))
        {
            await socket.SendAsync(Whole, stop);
            return;
        }

        await socket.SendAsync(StreamHead, stop);
        foreach (var frame in Frames)
        {
            await socket.SendAsync(frame, stop);
            if (_pace > TimeSpan.Zero)
            {
                await Task.Delay(_pace, TimeProvider.System, stop);
            }
        }
    }

    /// <summary>The length of the first request with its body; -1: it is not all there.</summary>
    private static int RequestLength(ReadOnlySpan<byte> bytes)
    {
        var head = bytes.IndexOf("\r\n\r\n"u8);
        if (head < 0)
        {
            return -1;
        }

        var text = Encoding.Latin1.GetString(bytes[..(head + 2)]);
        var at = text.IndexOf("\r\nContent-Length:", StringComparison.OrdinalIgnoreCase);
        var from = at + "\r\nContent-Length:".Length;
        var length = at < 0 ? 0 : int.Parse(
            text.AsSpan(from, text.IndexOf("\r\n", from, StringComparison.Ordinal) - from).Trim(),
            CultureInfo.InvariantCulture);
        return bytes.Length >= head + 4 + length ? head + 4 + length : -1;
    }
}
