using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Privacy;

/// <summary>
/// A provider that hands all it was sent to <c>look</c>. It answers with what it was told to say, or fails in the way
/// that the prompt names and says back, in its error, the key and everything else that it was sent.
/// </summary>
internal sealed class EchoingProvider : IDisposable
{
    private readonly LoopbackListener _listener;
    private readonly string _answer;
    private readonly Action<string> _look;

    internal EchoingProvider(string answer, Action<string> look)
    {
        (_answer, _look) = (answer, look);
        _listener = new LoopbackListener(64, ServeAsync);
    }

    internal Uri Url => new(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_listener.Port}/v1"));

    public void Dispose() => _listener.Dispose();

    private async Task ServeAsync(Socket socket, CancellationToken stop)
    {
        using (socket)
        {
            try
            {
                var (text, buffer) = (new StringBuilder(), new byte[64 * 1024]);
                while (!IsWhole(text.ToString()))
                {
                    var count = await socket.ReceiveAsync(buffer, stop);
                    if (count == 0)
                    {
                        return;
                    }

                    text.Append(Encoding.Latin1.GetString(buffer, 0, count));
                }

                var request = text.ToString();
                _look(request);
                await socket.SendAsync(Encoding.Latin1.GetBytes(Answer(request)), stop);
                socket.Shutdown(SocketShutdown.Both);
            }
            catch (Exception error) when (error is OperationCanceledException or SocketException or IOException)
            {
                // The server went away, or this provider did.
            }
        }
    }

    private string Answer(string request)
    {
        var said = request.Replace("\"", "'", StringComparison.Ordinal).Replace("\r\n", " ", StringComparison.Ordinal)
            .Replace("\\", "/", StringComparison.Ordinal);
        var error = $"{{\"error\":{{\"message\":\"Incorrect: {said}\",\"type\":\"{said}\",\"code\":\"{said}\"}}}}";
        return request.Contains("please refuse", StringComparison.Ordinal) ? Whole("401 Unauthorized", error)
            : request.Contains("please reject", StringComparison.Ordinal) ? Whole("400 Bad Request", error)
            : request.Contains("please break", StringComparison.Ordinal) ? Whole("500 Oh", error)
            : request.Contains("please babble", StringComparison.Ordinal) ? Whole("200 OK", $"Not JSON: {said}")
            : request.Contains("please redirect", StringComparison.Ordinal) ? Whole("302 Found", error)
            : request.Contains("\"stream\":true", StringComparison.Ordinal)
                ? Whole("200 OK", "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" + _answer
                    + "\"},\"finish_reason\":\"stop\"}]}\n\n" + (request.Contains("please stumble",
                        StringComparison.Ordinal) ? $"data: {said}\n\n" : "data: [DONE]\n\n"), "text/event-stream")
                : Whole("200 OK", "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\""
                    + _answer + "\"},\"finish_reason\":\"stop\"}]}");

        string Whole(string status, string body, string type = "application/json") =>
            $"HTTP/1.1 {status}\r\nContent-Type: {type}\r\nLocation: /{said.Length}\r\nX-Echo: {said}\r\n"
            + $"Connection: close\r\nContent-Length: {body.Length}\r\n\r\n{body}";
    }

    private static bool IsWhole(string text)
    {
        var head = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (head < 0)
        {
            return false;
        }

        const string Name = "\r\nContent-Length:";
        var at = text.IndexOf(Name, StringComparison.OrdinalIgnoreCase) + Name.Length;
        return text.Length >= head + 4 + int.Parse(
            text.AsSpan(at, text.IndexOf("\r\n", at, StringComparison.Ordinal) - at).Trim(),
            CultureInfo.InvariantCulture);
    }
}
