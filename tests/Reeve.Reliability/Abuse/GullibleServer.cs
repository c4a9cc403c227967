using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// A server with every fault that the checks look for: it knows no chunks, takes any line end and any number for a
/// length, waits for ever, has no limits and asks nobody for a key. The checks must find it out.
/// </summary>
internal sealed partial class GullibleServer : IDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(5);

    private readonly LoopbackListener _listener;
    private readonly bool _readsBodies;

    /// <param name="readsBodies">False: what is a body to others is a request to it.</param>
    internal GullibleServer(bool readsBodies = true)
    {
        _readsBodies = readsBodies;
        _listener = new LoopbackListener(1024, ServeAsync);
    }

    internal Uri Url => new(string.Create(
        CultureInfo.InvariantCulture, $"http://127.0.0.1:{_listener.Port}/"));

    public void Dispose() => _listener.Dispose();

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
