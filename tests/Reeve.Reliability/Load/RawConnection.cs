using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Reeve.Reliability.Load;

/// <summary>An answer as it stood on the wire, its body unchunked.</summary>
internal sealed record RawAnswer(int Status, string Head, byte[] Body)
{
    internal string Text => Encoding.UTF8.GetString(Body);

    /// <summary>True when the server keeps the connection.</summary>
    internal bool IsKept => !(Header("Connection")?.Equals("close", StringComparison.OrdinalIgnoreCase) ?? false);

    internal bool HasRetryAfter => int.TryParse(Header("Retry-After"), CultureInfo.InvariantCulture, out var seconds)
        && seconds >= 1;

    internal string? Header(string name)
    {
        var at = Head.IndexOf($"\r\n{name}:", StringComparison.OrdinalIgnoreCase);
        if (at < 0)
        {
            return null;
        }

        var from = at + name.Length + 3;
        var to = Head.IndexOf("\r\n", from, StringComparison.Ordinal);
        return Head[from..to].Trim();
    }
}

/// <summary>The connection ended inside of an answer, of which so much had come.</summary>
internal sealed class BrokenAnswerException(string message, RawAnswer? answer) : IOException(message)
{
    internal RawAnswer? Answer => answer;
}

/// <summary>
/// One HTTP/1.1 connection whose requests are bytes made beforehand: what is measured through it is the server, and it
/// sends what no library would. One user at a time.
/// </summary>
internal sealed class RawConnection : IDisposable
{
    private readonly Socket _socket;
    private byte[] _buffer = new byte[8 * 1024];
    private int _start;
    private int _end;

    private RawConnection(Socket socket) => _socket = socket;

    internal static async Task<RawConnection> OpenAsync(Uri url, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(url.Host, url.Port, cancellationToken);
            return new RawConnection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>A request with the admin key; a body makes it JSON.</summary>
    internal static byte[] Request(string method, string path, string? body, string more = "")
    {
        var bytes = body is null ? 0 : Encoding.UTF8.GetByteCount(body);
        var content = body is null ? "" : $"Content-Type: application/json\r\nContent-Length: {bytes}\r\n";
        return Encoding.UTF8.GetBytes($"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
            + $"Authorization: Bearer {Server.Tests.TestServer.AdminKey}\r\n{content}{more}\r\n{body}");
    }

    /// <summary>Sends a request and reads its answer to the end.</summary>
    /// <exception cref="BrokenAnswerException">The connection ended inside of it.</exception>
    /// <exception cref="IOException">The connection ended before it began.</exception>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    internal async Task<RawAnswer> SendAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        await WriteAsync(request, cancellationToken);
        return await ReadAnswerAsync(cancellationToken)
            ?? throw new IOException("The server closed the connection without an answer.");
    }

    internal async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            while (bytes.Length > 0)
            {
                bytes = bytes[await _socket.SendAsync(bytes, cancellationToken)..];
            }
        }
        catch (SocketException error)
        {
            throw new IOException(error.Message, error);
        }
    }

    /// <summary>The next answer; null when the server closed the connection before one began.</summary>
    internal async Task<RawAnswer?> ReadAnswerAsync(CancellationToken cancellationToken)
    {
        int headEnd;
        while ((headEnd = Buffered.IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (!await FillAsync(cancellationToken))
            {
                return _start == _end
                    ? null
                    : throw new BrokenAnswerException("The answer broke off in its head.", null);
            }
        }

        var head = Encoding.Latin1.GetString(_buffer, _start, headEnd + 2);
        _start += headEnd + 4;
        if (!head.StartsWith("HTTP/1.1 ", StringComparison.Ordinal))
        {
            throw new IOException($"This is no answer: {head[..Math.Min(head.Length, 40)]}");
        }

        var answer = new RawAnswer(int.Parse(head.AsSpan(9, 3), CultureInfo.InvariantCulture), head, []);
        return answer with { Body = await ReadBodyAsync(answer, cancellationToken) };
    }

    /// <summary>Reads on until the server closes; answers what came, chunks and all.</summary>
    internal async Task<string> ReadToEndAsync(CancellationToken cancellationToken)
    {
        while (await FillAsync(cancellationToken))
        {
        }

        return Encoding.Latin1.GetString(Buffered);
    }

    /// <summary>Says that nothing more is sent.</summary>
    internal void EndSending() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>Ends the connection as if the machine had gone: with a reset.</summary>
    internal void Reset()
    {
        _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        _socket.Dispose();
    }

    public void Dispose() => _socket.Dispose();

    private ReadOnlySpan<byte> Buffered => _buffer.AsSpan(_start, _end - _start);

    private async Task<byte[]> ReadBodyAsync(RawAnswer answer, CancellationToken cancellationToken)
    {
        if (answer.Status is 204 or 304 or < 200)
        {
            return [];
        }

        if (answer.Header("Content-Length") is { } length)
        {
            return await TakeAsync(int.Parse(length, CultureInfo.InvariantCulture), cancellationToken)
                ?? throw new BrokenAnswerException("The answer broke off in its body.", answer);
        }

        if (answer.Header("Transfer-Encoding") is null)
        {
            throw new IOException("The answer does not say where it ends.");
        }

        var body = new MemoryStream();
        while (await LineAsync(cancellationToken) is { } line)
        {
            var size = int.Parse(line, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            var chunk = await TakeAsync(size, cancellationToken);
            body.Write(chunk);
            if (chunk is null || await LineAsync(cancellationToken) is null)
            {
                break;
            }

            if (size == 0)
            {
                return body.ToArray();
            }
        }

        throw new BrokenAnswerException("The answer broke off in its chunks.", answer with { Body = body.ToArray() });
    }

    /// <summary>Null: the connection ended.</summary>
    private async Task<string?> LineAsync(CancellationToken cancellationToken)
    {
        int end;
        while ((end = Buffered.IndexOf("\r\n"u8)) < 0)
        {
            if (!await FillAsync(cancellationToken))
            {
                return null;
            }
        }

        var line = Encoding.Latin1.GetString(_buffer, _start, end);
        _start += end + 2;
        return line;
    }

    /// <summary>Null: the connection ended.</summary>
    private async Task<byte[]?> TakeAsync(int count, CancellationToken cancellationToken)
    {
        while (_end - _start < count)
        {
            if (!await FillAsync(cancellationToken))
            {
                return null;
            }
        }

        var bytes = Buffered[..count].ToArray();
        _start += count;
        return bytes;
    }

    private async ValueTask<bool> FillAsync(CancellationToken cancellationToken)
    {
        if (_start == _end)
        {
            _start = _end = 0;
        }
        else if (_end == _buffer.Length)
        {
            var kept = Buffered.Length;
            var target = kept > _buffer.Length / 2 ? new byte[_buffer.Length * 2] : _buffer;
            Buffered.CopyTo(target);
            (_buffer, _start, _end) = (target, 0, kept);
        }

        try
        {
            var count = await _socket.ReceiveAsync(_buffer.AsMemory(_end), cancellationToken);
            _end += count;
            return count > 0;
        }
        catch (SocketException)
        {
            return false; // A reset ends it as well.
        }
    }
}
