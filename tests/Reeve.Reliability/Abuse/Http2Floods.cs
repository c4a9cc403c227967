using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Sockets;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// What HTTP/2 servers are abused with, sent as if this one spoke it. It speaks HTTP/1.1 alone, so each connection must
/// be told so or closed at its first bytes, however much follows.
/// </summary>
internal static class Http2Floods
{
    private const byte Headers = 1;
    private const byte Reset = 3;
    private const byte Settings = 4;
    private const byte Ping = 6;
    private const byte GoAway = 7;
    private const byte WindowUpdate = 8;
    private const byte Continuation = 9;
    private const int EndStream = 1;
    private const int EndHeaders = 4;

    private static readonly TimeSpan LifeMax = TimeSpan.FromSeconds(3);

    // :method GET, :scheme http, :path / from the static table, and :authority as a literal.
    private static readonly byte[] Block = [0x82, 0x86, 0x84, 0x01, 0x09, .. "localhost"u8];

    private static readonly IReadOnlyList<(string Name, byte[] Bytes)> All =
    [
        ("a plain request", Connection([.. Frame(Headers, EndStream | EndHeaders, 1, Block)])),
        ("rapid reset", Connection(Many(10_000, static index =>
        [
            .. Frame(Headers, EndStream | EndHeaders, Stream(index), Block),
            .. Frame(Reset, 0, Stream(index), [0, 0, 0, 8]),
        ]))),
        ("headers that never end", Connection(
            [.. Frame(Headers, 0, 1, Block), .. Many(20_000, static _ => Frame(Continuation, 0, 1, Block))])),
        ("empty continuations", Connection(
            [.. Frame(Headers, 0, 1, Block), .. Many(50_000, static _ => Frame(Continuation, 0, 1, []))])),
        ("settings", Connection(Many(50_000, static _ => Frame(Settings, 0, 0, [])))),
        ("pings", Connection(Many(50_000, static _ => Frame(Ping, 0, 0, new byte[8])))),
        ("window updates", Connection(Many(50_000, static _ => Frame(WindowUpdate, 0, 0, [0, 0, 0, 1])))),
        ("a window of nothing", Connection([.. Frame(Settings, 0, 0, [0, 4, 0, 0, 0, 0]),
            .. Many(1_000, static index => Frame(Headers, EndStream | EndHeaders, Stream(index), Block))])),
        ("frames without the preface", Many(10_000, static _ => Frame(Ping, 0, 0, new byte[8]))),
        ("half of the preface", "PRI * HTTP/2.0\r\n\r\nSM"u8.ToArray()),
    ];

    /// <summary>Each flood so often at once; answers how many connections that was.</summary>
    internal static async Task<int> RunAsync(Uri url, int times, ConcurrentQueue<string> problems,
        TimeSpan? lifeMax = null)
    {
        var floods = Enumerable.Repeat(All, times).SelectMany(static all => all).ToList();
        await Crowd.EachAsync(floods, 4, async flood =>
        {
            if (await ComplainAsync(url, flood.Bytes, lifeMax ?? LifeMax) is { } complaint)
            {
                problems.Enqueue($"HTTP/2, {flood.Name}: {complaint}");
            }
        });
        return floods.Count;
    }

    private static async Task<string?> ComplainAsync(Uri url, byte[] bytes, TimeSpan lifeMax)
    {
        using var deadline = new CancellationTokenSource(lifeMax);
        using var connection = await RawConnection.OpenAsync(url, deadline.Token);
        var writing = WriteAsync();
        try
        {
            var answer = await connection.ReadToEndAsync(deadline.Token);
            return answer.Length == 0 || answer[3] == GoAway
                || answer.StartsWith("HTTP/1.1 400 ", StringComparison.Ordinal)
                ? null
                : $"it was answered {answer[..Math.Min(answer.Length, 60)]}";
        }
        catch (OperationCanceledException)
        {
            return "the connection is still open";
        }
        catch (IOException error) when (error.InnerException is SocketException)
        {
            return null; // Closed by a reset, for there were bytes that it had not read.
        }
        finally
        {
            await deadline.CancelAsync();
            await writing;
        }

        async Task WriteAsync()
        {
            try
            {
                await connection.WriteAsync(bytes, deadline.Token);
            }
            catch (Exception error) when (error is IOException or OperationCanceledException)
            {
                // Closed, as it should be.
            }
        }
    }

    private static int Stream(int index) => (2 * index) + 1;

    private static byte[] Connection(byte[] frames) =>
        [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. Frame(Settings, 0, 0, []), .. frames];

    private static byte[] Many(int count, Func<int, byte[]> frame)
    {
        using var bytes = new MemoryStream();
        for (var i = 0; i < count; i++)
        {
            bytes.Write(frame(i));
        }

        return bytes.ToArray();
    }

    private static byte[] Frame(byte type, int flags, int stream, byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8);
        frame[3] = type;
        frame[4] = (byte)flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame, 9);
        return frame;
    }
}
