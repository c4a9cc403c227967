using System.Buffers;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Reeve.Reliability.Load;
using Reeve.Reliability.Simulation;
using Reeve.Server.Privacy;

namespace Reeve.Reliability.Privacy;

/// <summary>
/// A provider that shows every byte it gets to the judge. It says back what it was told last, placeholders and all,
/// with others that nobody gave it, in pieces cut anywhere; it asks for a search first where it can; and now and then
/// it fails or breaks off in the middle.
/// </summary>
internal sealed class RecordingModel : IDisposable
{
    /// <summary>Around what is to be said back.</summary>
    internal const string Begin = "<<", End = ">>";

    /// <summary>After it: placeholders that were not given, and half ones.</summary>
    internal const string Tail = " [EMAIL_99] [CARD_] [[NAME_77 [IBAN_";

    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly LoopbackListener _listener;
    private readonly string _name;
    private readonly PrivacyJudge _judge;
    private readonly PrivacyMarks _marks;
    private readonly SimRandom _random;
    private int _faults;

    /// <param name="name">As the problems call it.</param>
    /// <param name="judge">Is shown what comes.</param>
    /// <param name="marks">What the provider is in truth.</param>
    /// <param name="random">Its own source of chance.</param>
    internal RecordingModel(string name, PrivacyJudge judge, PrivacyMarks marks, SimRandom random)
    {
        (_name, _judge, _marks, _random) = (name, judge, marks, random);
        _listener = new LoopbackListener(512, ServeAsync);
    }

    internal Uri Url => new(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_listener.Port}/v1"));

    /// <summary>Answers that it refused or broke off.</summary>
    internal int Faults => _faults;

    public void Dispose() => _listener.Dispose();

    private async Task ServeAsync(Socket socket, CancellationToken stop)
    {
        using (socket)
        {
            var (buffer, end) = (new byte[64 * 1024], 0);
            try
            {
                socket.NoDelay = true;
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

                    _judge.Look(_name, buffer.AsSpan(0, length), _marks);
                    var body = buffer.AsSpan(0, length);
                    if (!await AnswerAsync(socket, body[(body.IndexOf("\r\n\r\n"u8) + 4)..].ToArray(), stop))
                    {
                        end = 0;
                        return;
                    }

                    buffer.AsSpan(length, end - length).CopyTo(buffer);
                    end -= length;
                }
            }
            catch (Exception error) when (error is OperationCanceledException or SocketException or IOException)
            {
                // The server went away, or this provider did.
            }
            finally
            {
                _judge.Look(_name, buffer.AsSpan(0, end), _marks); // What came of a request that nobody finished.
            }
        }
    }

    /// <summary>False: the connection is of no more use.</summary>
    private async Task<bool> AnswerAsync(Socket socket, byte[] request, CancellationToken stop)
    {
        byte[] answer;
        int[] cuts;
        bool breaksOff;
        lock (_random)
        {
            if (_random.Chance(6))
            {
                Interlocked.Increment(ref _faults);
                answer = Whole("500 Internal Server Error", "{\"error\":{\"message\":\"no\"}}");
                cuts = [];
                breaksOff = false;
            }
            else
            {
                answer = Make(request);
                cuts = [.. Enumerable.Range(0, _random.Below(6)).Select(_ => _random.Below(answer.Length)).Order()];
                breaksOff = _random.Chance(6);
            }
        }

        var at = 0;
        foreach (var cut in cuts)
        {
            await socket.SendAsync(answer.AsMemory(at, cut - at), stop);
            at = cut;
            await Task.Yield();
        }

        if (breaksOff)
        {
            Interlocked.Increment(ref _faults);
            return false;
        }

        await socket.SendAsync(answer.AsMemory(at), stop);
        return true;
    }

    private byte[] Make(byte[] request)
    {
        using var document = JsonDocument.Parse(request);
        var body = document.RootElement;
        if (body.TryGetProperty("input", out var texts))
        {
            return Whole("200 OK", $"{{\"data\":[{string.Join(',', Enumerable.Range(0, texts.GetArrayLength()).Select(
                static index => string.Create(CultureInfo.InvariantCulture,
                    $"{{\"index\":{index},\"embedding\":[0.5,-0.5]}}")))}]}}");
        }

        var messages = body.GetProperty("messages");
        var said = "";
        var mayAsk = true;
        foreach (var message in messages.EnumerateArray())
        {
            var role = message.GetProperty("role").GetString();
            mayAsk &= role != "tool";
            said = role == "user" ? message.GetProperty("content").GetString()! : said;
        }

        var begin = said.LastIndexOf(Begin, StringComparison.Ordinal);
        var end = said.LastIndexOf(End, StringComparison.Ordinal);
        var echo = (begin < 0 || end < begin ? "" : said[(begin + Begin.Length)..end]) + Tail;
        var tool = mayAsk && body.TryGetProperty("tools", out var tools) && tools.GetArrayLength() > 0
            ? tools[0].GetProperty("function").GetProperty("name").GetString() : null;
        return body.TryGetProperty("stream", out var stream) && stream.GetBoolean()
            ? Stream(echo, tool)
            : Whole("200 OK", Json(writer => WriteChoice(writer, "message", echo, tool, isLast: true)));
    }

    private byte[] Stream(string echo, string? tool)
    {
        var frames = new StringBuilder(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
        var at = 0;
        while (tool is null && at < echo.Length)
        {
            var length = Math.Min(1 + _random.Below(9), echo.Length - at);
            var piece = echo.Substring(at, length);
            frames.Append("data: ").Append(Json(writer => WriteChoice(writer, "delta", piece, null, isLast: false)))
                .Append("\n\n");
            at += length;
        }

        frames.Append("data: ").Append(Json(writer => WriteChoice(writer, "delta", "", tool, isLast: true)))
            .Append("\n\ndata: [DONE]\n\n");
        return Encoding.UTF8.GetBytes(frames.ToString());
    }

    private static void WriteChoice(Utf8JsonWriter writer, string member, string text, string? tool, bool isLast)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("choices");
        writer.WriteStartObject();
        writer.WriteNumber("index", 0);
        writer.WriteStartObject(member);
        writer.WriteString("role", "assistant");
        writer.WritePropertyName("content");
        writer.WriteRawValue($"\"{(tool is null ? Escape(text) : "")}\"", skipInputValidation: true);
        if (tool is not null)
        {
            writer.WriteStartArray("tool_calls");
            writer.WriteStartObject();
            writer.WriteNumber("index", 0);
            writer.WriteString("id", "c1");
            writer.WriteString("type", "function");
            writer.WriteStartObject("function");
            writer.WriteString("name", tool);
            writer.WriteString("arguments", "{\"query\":\"the rule of the harbour\"}");
            writer.WriteEndObject();
            writer.WriteEndObject();
            writer.WriteEndArray();
        }

        writer.WriteEndObject();
        writer.WriteString("finish_reason", !isLast ? null : tool is null ? "stop" : "tool_calls");
        writer.WriteEndObject();
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>A piece may end in the middle of a character, which JSON can say by its halves.</summary>
    private static string Escape(string text)
    {
        var json = new StringBuilder();
        foreach (var unit in text)
        {
            _ = unit is >= ' ' and <= '~' and not ('"' or '\\')
                ? json.Append(unit)
                : json.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}");
        }

        return json.ToString();
    }

    private static string Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Relaxed))
        {
            write(writer);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static byte[] Whole(string status, string body) => Encoding.UTF8.GetBytes(
        $"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}"
        + $"\r\n\r\n{body}");

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
