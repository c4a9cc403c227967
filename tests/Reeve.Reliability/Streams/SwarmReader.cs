using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Reeve.Reliability.Load;
using Reeve.Server;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Streams;

/// <summary>How long stamped pieces took from the provider to a reader, in tenths of a millisecond.</summary>
internal sealed class LatencyHistogram
{
    private readonly long[] _counts = new long[100_000];
    private long _total;

    /// <summary>Pieces that were stamped before this timestamp do not count.</summary>
    internal long From { get; set; } = long.MaxValue;

    internal long Total => Interlocked.Read(ref _total);

    internal void Add(long stamp)
    {
        if (stamp >= From)
        {
            var tenths = (int)(TimeProvider.System.GetElapsedTime(stamp).TotalMilliseconds * 10);
            Interlocked.Increment(ref _counts[Math.Clamp(tenths, 0, _counts.Length - 1)]);
            Interlocked.Increment(ref _total);
        }
    }

    /// <summary>Milliseconds within which so many of 100 pieces came.</summary>
    internal double Percentile(double percent)
    {
        var (seen, due) = (0L, Total * percent / 100);
        for (var i = 0; i < _counts.Length; i++)
        {
            seen += _counts[i];
            if (seen >= due)
            {
                return i / 10.0;
            }
        }

        return _counts.Length / 10.0;
    }
}

/// <summary>
/// One reader of a stream on a socket of its own, without the buffers of an HTTP client. It counts stamps, sees the end
/// of its run, and can stop reading for good.
/// </summary>
internal sealed class SwarmReader(Uri server, IPAddress from, LatencyHistogram latencies) : IDisposable
{
    private const int BufferBytes = 4 * 1024;
    private const int MarkBytesMax = 96;
    private const int StalledBufferBytes = 4 * 1024;

    private static readonly byte[][] Ends =
        ["event: run.completed\n"u8.ToArray(), "{\"type\":\"run_completed\""u8.ToArray()];

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly TaskCompletionSource<string> _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _stamp = -1;

    /// <summary>Stamped pieces that came.</summary>
    internal int Stamps { get; private set; }

    internal long Bytes { get; private set; }

    /// <summary>True once the last frame of the run came.</summary>
    internal bool IsEnded { get; private set; }

    /// <summary>The paths of the run's own events as the first frame names them.</summary>
    internal Task<string> EventsPath => _begun.Task;

    /// <summary>When enough had come to fill what lies between the server and a reader that does not read.</summary>
    internal long FullAt { get; private set; }

    internal string? Failure { get; private set; }

    /// <summary>True when the server has cut the connection; one who does not read hears it no other way.</summary>
    internal bool IsCut => _socket.Poll(0, SelectMode.SelectError);

    /// <summary>Sends the request, and with <paramref name="reads"/> false never reads.</summary>
    internal async Task OpenAsync(string request, bool reads = true)
    {
        _socket.NoDelay = true;
        if (!reads)
        {
            _socket.ReceiveBufferSize = StalledBufferBytes;
        }

        _socket.Bind(new IPEndPoint(from, 0));
        await _socket.ConnectAsync(IPAddress.Parse(server.Host), server.Port);
        await _socket.SendAsync(Encoding.ASCII.GetBytes(request));
    }

    /// <summary>Reads to the end of the run, or of the connection.</summary>
    internal async Task ReadAsync(long fullBytes = long.MaxValue)
    {
        var buffer = new byte[MarkBytesMax + BufferBytes];
        var kept = 0;
        var first = new StringBuilder();
        try
        {
            while (!IsEnded)
            {
                var count = await _socket.ReceiveAsync(buffer.AsMemory(kept, BufferBytes));
                if (count == 0)
                {
                    Failure = "the connection was closed before the end of the run";
                    break;
                }

                Bytes += count;
                FullAt = FullAt == 0 && Bytes >= fullBytes ? TimeProvider.System.GetTimestamp() : FullAt;
                Scan(buffer.AsSpan(kept, count));
                Begin(first, buffer.AsSpan(kept, count));
                var seen = buffer.AsSpan(0, kept + count);
                foreach (var end in Ends)
                {
                    IsEnded |= seen.IndexOf(end) >= 0;
                }

                var keep = Math.Min(MarkBytesMax, seen.Length);
                seen[^keep..].CopyTo(buffer);
                kept = keep;
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            Failure = error.Message;
        }

        _begun.TrySetException(new InvalidOperationException(Failure ?? "The stream named no run."));
        _ = _begun.Task.Exception; // Nobody need look at it.
    }

    public void Dispose() => _socket.Dispose();

    private void Scan(ReadOnlySpan<byte> bytes)
    {
        foreach (var one in bytes)
        {
            if (one == (byte)'[')
            {
                _stamp = 0;
            }
            else if (_stamp >= 0 && one is >= (byte)'0' and <= (byte)'9')
            {
                _stamp = (_stamp * 10) + (one - (byte)'0');
            }
            else
            {
                if (_stamp > 0 && one == (byte)']')
                {
                    Stamps++;
                    latencies.Add(_stamp);
                }

                _stamp = -1;
            }
        }
    }

    private void Begin(StringBuilder first, ReadOnlySpan<byte> bytes)
    {
        if (_begun.Task.IsCompleted)
        {
            return;
        }

        var text = first.Append(Encoding.Latin1.GetString(bytes)).ToString();
        if (text.IndexOf("\n\n", StringComparison.Ordinal) < 0)
        {
            return;
        }

        if (Find(text, "run_") is not { } run)
        {
            Failure = text;
            _begun.TrySetException(new InvalidOperationException(text));
            return;
        }

        _begun.TrySetResult(Find(text, "task_") is { } task
            ? $"/api/tasks/{task}/runs/{run}/events"
            : $"/v1/runs/{run}/events");
    }

    private static string? Find(string text, string prefix)
    {
        var at = text.IndexOf($"\"{prefix}0", StringComparison.Ordinal);
        return at < 0 ? null : text.Substring(at + 1, prefix.Length + Id.BodyLength);
    }

    internal static string Start(Dialect dialect, string agent, string input)
    {
        var body = dialect.IsMesh
            ? $$"""{"agent":"{{agent}}","input":"{{input}}","stream":true}"""
            : $$"""{"query":"{{input}}","stream":true}""";
        return string.Create(CultureInfo.InvariantCulture,
            $"POST {dialect.Path} HTTP/1.1\r\n{Headers(agent)}Content-Type: application/json\r\n")
            + string.Create(CultureInfo.InvariantCulture, $"Content-Length: {body.Length}\r\n\r\n{body}");
    }

    internal static string Follow(string agent, string path) => $"GET {path} HTTP/1.1\r\n{Headers(agent)}\r\n";

    private static string Headers(string agent) =>
        $"Host: reeve\r\nAuthorization: Bearer {TestServer.AdminKey}\r\nX-Agent-Id: {agent}\r\n";
}
