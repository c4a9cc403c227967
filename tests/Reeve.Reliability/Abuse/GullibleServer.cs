using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// A server with every fault that the checks look for: it knows no chunks, takes any line end and any number for a
/// length, waits for ever, has no limits and asks nobody for a key. The checks must find it out.
/// </summary>
internal sealed partial class GullibleServer : IDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(5);

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly bool _readsBodies;
    private readonly CancellationTokenSource _stop = new();

    /// <param name="readsBodies">False: what is a body to others is a request to it.</param>
    internal GullibleServer(bool readsBodies = true)
    {
        _readsBodies = readsBodies;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(1024);
        _ = AcceptAsync();
    }

    internal Uri Url => new(string.Create(
        CultureInfo.InvariantCulture, $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndPoint!).Port}/"));

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var stop = _stop.Token;
        try
        {
            while (true)
            {
                _ = ServeAsync(await _listener.AcceptAsync(stop), stop);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The end of this server.
        }
    }

    private async Task ServeAsync(Socket socket, CancellationToken stop)
    {
        using (socket)
        {
            try
            {
                var (buffer, text) = (new byte[64 * 1024], "");
                while (await socket.ReceiveAsync(buffer, stop) is > 0 and var count)
                {
                    text += Encoding.Latin1.GetString(buffer, 0, count);
                    while (HeadEnd().Match(text) is { Success: true } end)
                    {
                        var head = text[..end.Index];
                        var length = _readsBodies && Length().Match(head) is { Success: true } found
                            ? int.Parse(found.Groups[1].ValueSpan, CultureInfo.InvariantCulture)
                            : 0;
                        var next = end.Index + end.Length + length;
                        if (text.Length < next)
                        {
                            break;
                        }

                        text = text[next..];
                        await Task.Delay(Pace, TimeProvider.System, stop);
                        await socket.SendAsync(Answer(head), stop);
                        if (head.Contains("Connection: close", StringComparison.Ordinal))
                        {
                            return;
                        }
                    }
                }
            }
            catch (Exception error) when (error is OperationCanceledException or SocketException or OverflowException)
            {
                // The caller went away, or this server did.
            }
        }
    }

    private static byte[] Answer(string head)
    {
        var body = head switch
        {
            _ when head.Contains("/version", StringComparison.Ordinal) => "{\"version\":\"0\"}",
            _ when head.Contains("/health/live", StringComparison.Ordinal) => "{\"status\":\"live\"}",
            _ when head.Contains("/health/ready", StringComparison.Ordinal) => "{\"status\":\"ready\"}",
            _ when head.Contains("limit=1", StringComparison.Ordinal) => "{\"has_more\":false}",
            _ when head.Contains("run_0", StringComparison.Ordinal) => "{\"error\":\"No such run exists\"}",
            _ => "{\"id\":\"anything\"}",
        };
        return Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n\r\n{body}");
    }

    [GeneratedRegex(@"\r?\n\r?\n")]
    private static partial Regex HeadEnd();

    [GeneratedRegex(@"content-length\s*:\s*\D?(\d+)", RegexOptions.IgnoreCase)]
    private static partial Regex Length();
}
