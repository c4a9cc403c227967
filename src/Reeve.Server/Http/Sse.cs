using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;

namespace Reeve.Server.Http;

/// <summary>
/// Writes Server-Sent Events (wire-mesh 1.8): numbered frames of one data line, heartbeats, and a deadline on every
/// flush, because Kestrel alone lets a reader that accepts nothing hang for ever.
/// </summary>
internal sealed class SseWriter(HttpContext context, TimeProvider time)
{
    internal static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan FlushDeadline = TimeSpan.FromSeconds(15);

    /// <summary>How long a reader has to take what was written when the stream is being closed.</summary>
    internal static readonly TimeSpan ClosingDeadline = TimeSpan.FromSeconds(1);

    private readonly PipeWriter _writer = context.Response.BodyWriter;

    /// <summary>True once the answer is a stream and nothing else.</summary>
    internal bool HasBegun { get; private set; }

    internal void Begin()
    {
        if (HasBegun)
        {
            return;
        }

        HasBegun = true;
        var response = context.Response;
        response.StatusCode = 200;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache, no-transform";
        response.Headers["X-Accel-Buffering"] = "no";
    }

    /// <summary>
    /// Adds a frame, with a number where the dialect has them; nothing leaves before <see cref="FlushAsync"/>.
    /// </summary>
    internal void Write(long? id, string? name, ReadOnlySpan<byte> data)
    {
        var span = _writer.GetSpan(64 + (name?.Length ?? 0) + data.Length);
        var length = 0;
        if (id is { } number)
        {
            "id: "u8.CopyTo(span);
            length += 4;
            _ = number.TryFormat(span[length..], out var digits, default, CultureInfo.InvariantCulture);
            length += digits;
            span[length++] = (byte)'\n';
        }

        if (name is not null)
        {
            "event: "u8.CopyTo(span[length..]);
            length += 7;
            length += Encoding.ASCII.GetBytes(name, span[length..]);
            span[length++] = (byte)'\n';
        }

        "data: "u8.CopyTo(span[length..]);
        length += 6;
        data.CopyTo(span[length..]);
        length += data.Length;
        span[length++] = (byte)'\n';
        span[length++] = (byte)'\n';
        _writer.Advance(length);
    }

    internal void WriteHeartbeat() => _writer.Write(": ping\n\n"u8);

    /// <summary>
    /// Sends what was written; false: the reader is gone or accepted nothing for too long, and was cut off. Once
    /// <paramref name="closing"/> is cancelled there is less time.
    /// </summary>
    internal async Task<bool> FlushAsync(CancellationToken closing)
    {
        var flush = _writer.FlushAsync(context.RequestAborted);
        if (flush.IsCompletedSuccessfully)
        {
            return !flush.Result.IsCompleted && !context.RequestAborted.IsCancellationRequested;
        }

        var flushing = flush.AsTask();
        try
        {
            return !(await flushing.WaitAsync(FlushDeadline, time, closing)).IsCompleted;
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            return await FinishAsync(flushing);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException or IOException)
        {
            context.Abort();
            return false;
        }
    }

    private async Task<bool> FinishAsync(Task<FlushResult> flushing)
    {
        try
        {
            return !(await flushing.WaitAsync(ClosingDeadline, time)).IsCompleted;
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException or IOException)
        {
            context.Abort();
            return false;
        }
    }
}
