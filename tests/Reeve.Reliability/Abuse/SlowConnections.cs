using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Reeve.Reliability.Load;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Abuse;

/// <summary>How a slow connection wastes the server's time, and when the server must have ended it.</summary>
internal sealed record Slowness(string Name, string Opening, string Drop, TimeSpan LifeMax)
{
    // What the server allows (docs/architecture.md, "Limits") and the second between two looks of it, twice.
    private static readonly TimeSpan Headers = TimeSpan.FromSeconds(15 + 2);
    private static readonly TimeSpan Body = TimeSpan.FromSeconds(5 + 2);

    private const string Key = $"Authorization: Bearer {TestServer.AdminKey}\r\n";
    private const string Run = "POST /v1/agents/runs HTTP/1.1\r\nHost: localhost\r\n";
    private const string Sized = "Content-Length: 1000000\r\n\r\n{";
    private const string Chunked = "Transfer-Encoding: chunked\r\n\r\n";

    /// <summary>A byte, a header or a chunk a second.</summary>
    internal static readonly IReadOnlyList<Slowness> All =
    [
        new("a byte of a request line", "G", "E", Headers),
        new("a header at a time", "GET /health/live HTTP/1.1\r\nHost: localhost\r\n", "X-A: b\r\n", Headers),
        new("a byte of a header", "GET /health/live HTTP/1.1\r\nX-A: ", "b", Headers),
        new("headers of a second request", "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /", "a", Headers),
        new("a byte of a body", Run + Key + Sized, " ", Body),
        new("a chunk of a body", Run + Key + Chunked, "1\r\n \r\n", Body),
        new("a byte of a chunk's extension", Run + Key + Chunked + "1;", "x", Body),
        new("a body that never comes", Run + Key + Sized, "", Body),
        new("a body without a key", Run + Sized, " ", Body),
        new("a byte of a form", "POST /v1/agents/demo/documents HTTP/1.1\r\nHost: localhost\r\n" + Key
            + "Content-Type: multipart/form-data; boundary=b\r\n" + Sized, "-", Body),
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
        var told = ends.Count(static end => end.Status == 408);
        return string.Create(CultureInfo.InvariantCulture,
            $"{connections} slow connections ended after {ends.Max(static end => end.Life.TotalSeconds):F1} s at most, "
            + $"{told} of them with 408");
    }

    private static async Task<(TimeSpan Life, int Status)> HoldOneAsync(
        Uri url, Slowness kind, ConcurrentQueue<string> problems)
    {
        var begun = TimeProvider.System.GetTimestamp();
        using var deadline = new CancellationTokenSource(kind.LifeMax);
        var status = 0;
        try
        {
            using var connection = await RawConnection.OpenAsync(url, deadline.Token);
            await connection.WriteAsync(Encoding.Latin1.GetBytes(kind.Opening), deadline.Token);
            var reading = ReadAsync(connection, deadline.Token);
            while (await Task.WhenAny(reading, Task.Delay(Pace, TimeProvider.System, deadline.Token)) != reading
                && !deadline.IsCancellationRequested)
            {
                await connection.WriteAsync(Encoding.Latin1.GetBytes(kind.Drop), deadline.Token);
            }

            status = await reading;
        }
        catch (IOException)
        {
            // Ended by a reset, which is an end as well.
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

        return (TimeProvider.System.GetElapsedTime(begun), status);
    }

    /// <summary>Reads until the server closes; answers the status of its last answer, 0 when there was none.</summary>
    private static async Task<int> ReadAsync(RawConnection connection, CancellationToken cancellationToken)
    {
        var status = 0;
        while (await connection.ReadAnswerAsync(cancellationToken) is { } answer)
        {
            status = answer.Status;
        }

        return status;
    }
}
