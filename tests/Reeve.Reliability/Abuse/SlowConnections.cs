using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Reeve.Reliability.Load;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// How a slow connection wastes the server's time, when the server must have ended it, and what its last answer has in
/// it, if there is one.
/// </summary>
internal sealed record Slowness(string Name, string Opening, string Drop, TimeSpan LifeMax, string Says)
{
    // What the server allows (docs/architecture.md, "Limits"), and 5 s for a busy machine: it looks once a second.
    private static readonly TimeSpan Headers = TimeSpan.FromSeconds(15 + 5);
    private static readonly TimeSpan Body = TimeSpan.FromSeconds(5 + 5);

    private const string Timeout = " 408 ";
    private const string TooSlow = "The body came too slowly.";
    private const string Key = $"Authorization: Bearer {TestServer.AdminKey}\r\n";
    private const string Run = "POST /v1/agents/runs HTTP/1.1\r\nHost: localhost\r\n";
    private const string Sized = "Content-Length: 1000000\r\n\r\n{";
    private const string Chunked = "Transfer-Encoding: chunked\r\n\r\n";

    /// <summary>A byte, a header or a chunk a second.</summary>
    internal static readonly IReadOnlyList<Slowness> All =
    [
        new("a byte of a request line", "G", "E", Headers, Timeout),
        new("a header at a time", "GET /health/live HTTP/1.1\r\nHost: localhost\r\n", "X-A: b\r\n", Headers, Timeout),
        new("a byte of a header", "GET /health/live HTTP/1.1\r\nX-A: ", "b", Headers, Timeout),
        new("headers of a second request", "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /", "a", Headers,
            Timeout),
        new("a byte of a body", Run + Key + Sized, " ", Body, TooSlow),
        new("a chunk of a body", Run + Key + Chunked, "1\r\n \r\n", Body, TooSlow),
        new("a byte of a chunk's extension", Run + Key + Chunked + "1;", "x", Body, TooSlow),
        new("a body that never comes", Run + Key + Sized, "", Body, TooSlow),
        new("a body without a key", Run + Sized, " ", Body, "unauthorized"),
        new("a byte of a form", "POST /v1/agents/demo/documents HTTP/1.1\r\nHost: localhost\r\n" + Key
            + "Content-Type: multipart/form-data; boundary=b\r\n" + Sized, "-", Body, TooSlow),
    ];
}

/// <summary>Many connections that send next to nothing for as long as they may.</summary>
internal static class SlowConnections
{
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(1);

    /// <summary>Opens so many, of all kinds in turn, and waits for the last to be ended.</summary>
    internal static async Task<string> HoldAsync(
        Uri url, IReadOnlyList<Slowness> kinds, int connections, ConcurrentQueue<string> problems)
    {
        var ends = await Task.WhenAll(Enumerable.Range(0, connections)
            .Select(index => Task.Run(() => HoldOneAsync(url, kinds[index % kinds.Count], problems))));
        var told = ends.Count(static end => end.Last is not null);
        return string.Create(CultureInfo.InvariantCulture,
            $"{connections} slow connections ended after {ends.Max(static end => end.Life.TotalSeconds):F1} s at most, "
            + $"{told} of them with an answer");
    }

    private static async Task<(TimeSpan Life, RawAnswer? Last)> HoldOneAsync(
        Uri url, Slowness kind, ConcurrentQueue<string> problems)
    {
        var begun = TimeProvider.System.GetTimestamp();
        using var deadline = new CancellationTokenSource(kind.LifeMax);
        RawAnswer? last = null;
        try
        {
            using var connection = await RawConnection.OpenAsync(url, deadline.Token);
            await connection.WriteAsync(Encoding.Latin1.GetBytes(kind.Opening), deadline.Token);
            var reading = ReadAsync();
            while (await Task.WhenAny(reading, Task.Delay(Pace, TimeProvider.System, deadline.Token)) != reading
                && !deadline.IsCancellationRequested)
            {
                await connection.WriteAsync(Encoding.Latin1.GetBytes(kind.Drop), deadline.Token);
            }

            await reading;
            if (last is not null && !$"{last.Head}{last.Text}".Contains(kind.Says, StringComparison.Ordinal))
            {
                problems.Enqueue($"{kind.Name}: at the end it was told {last.Status} {last.Text}");
            }

            async Task ReadAsync()
            {
                while (await connection.ReadAnswerAsync(deadline.Token) is { } answer)
                {
                    last = answer;
                }
            }
        }
        catch (IOException error) when (error.InnerException is SocketException)
        {
            // Ended by a reset, which is an end as well.
        }
        catch (IOException error)
        {
            problems.Enqueue($"{kind.Name}: {error.Message}");
        }
        catch (SocketException error)
        {
            problems.Enqueue($"{kind.Name}: it could not connect: {error.Message}");
        }
        catch (OperationCanceledException)
        {
            problems.Enqueue(string.Create(CultureInfo.InvariantCulture,
                $"{kind.Name}: the connection is open after {kind.LifeMax.TotalSeconds:F0} s"));
        }

        return (TimeProvider.System.GetElapsedTime(begun), last);
    }
}
