using System.Buffers;
using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis;

/// <summary>
/// A dialect's view of a log: for each event none, one or several frames. It must depend on nothing but the state and
/// the
/// event, so that the same log gives the same bytes for ever.
/// </summary>
internal delegate void Projection(RunState state, RunEvent entry, FrameSink frames);

/// <summary>
/// Takes the frames of a projection and numbers them; those up to a cursor are counted and not written.
/// </summary>
internal sealed class FrameSink(SseWriter writer, long after, bool isNumbered = true) : IDisposable
{
    private readonly ArrayBufferWriter<byte> _buffer = new(256);
    private Utf8JsonWriter? _json;

    /// <summary>Frames so far, the skipped ones too.</summary>
    internal long Count { get; private set; }

    internal bool HasUnsent { get; set; }

    /// <summary>Bytes that were written since the last flush.</summary>
    internal long UnsentBytes { get; set; }

    internal void Add<T>(string? name, T data, Action<Utf8JsonWriter, T> write)
    {
        Count++;
        if (Count <= after)
        {
            return;
        }

        _buffer.ResetWrittenCount();
        if (_json is null)
        {
            _json = new Utf8JsonWriter(_buffer, ApiJson.Writer);
        }
        else
        {
            _json.Reset(_buffer);
        }

        write(_json, data);
        _json.Flush();
        Write(name, _buffer.WrittenSpan);
    }

    /// <summary>Adds a frame whose data is not JSON.</summary>
    internal void Add(ReadOnlySpan<byte> data)
    {
        Count++;
        if (Count > after)
        {
            Write(null, data);
        }
    }

    private void Write(string? name, ReadOnlySpan<byte> data)
    {
        writer.Write(isNumbered ? Count : null, name, data);
        HasUnsent = true;
        UnsentBytes += data.Length;
    }

    public void Dispose() => _json?.Dispose();
}

/// <summary>The place of a stream; the default is none.</summary>
internal readonly struct StreamPlace(Places places) : IDisposable
{
    private readonly Places? _places = places;

    public void Dispose() => _places?.Leave();
}

/// <summary>Sends a run as a stream of one dialect: replays from a cursor, then follows the log to its end.</summary>
internal sealed class RunStream(
    TimeProvider time, CreditOptions credits, Capacity capacity, IHostApplicationLifetime lifetime,
    Failpoints failpoints)
{
    /// <summary>
    /// What is written waits in the server until it is sent; a reader who accepts nothing pins so much and no more.
    /// </summary>
    private const int UnsentBytesMax = 32 * 1024;

    private const int RetryAfterSeconds = 5;

    /// <summary>
    /// Takes the place of a stream, before anything is done for it; the caller gives it back by disposal.
    /// </summary>
    /// <exception cref="ApiException">503: the server is stopping, or sends as many streams as it can.</exception>
    internal StreamPlace Enter()
    {
        if (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            throw new ApiException(ApiErrorCodes.Unavailable, "The server is stopping.")
            {
                RetryAfterSeconds = RetryAfterSeconds,
            };
        }

        capacity.Streams.Enter();
        return new StreamPlace(capacity.Streams);
    }

    /// <summary>
    /// Answers the whole request; true when the stream reached the end of the run. A dialect without cursors says in
    /// <paramref name="ending"/> with what a stream ends that the server closes before.
    /// </summary>
    internal async Task<bool> SendAsync(
        HttpContext context, RunFeed feed, Projection project, long after, Action<FrameSink>? ending = null)
    {
        var writer = new SseWriter(context, time);
        using var frames = new FrameSink(writer, after, isNumbered: ending is null);
        var state = new RunState(feed.RunId, credits);

        // A stream ends with its reader, with its key and with the server; the run behind it goes on.
        using var closing = CancellationTokenSource.CreateLinkedTokenSource(
            context.RequestAborted, context.Caller().Revoked, lifetime.ApplicationStopping);
        while (true)
        {
            var events = feed.Next();
            foreach (var entry in events)
            {
                state.Apply(entry);
                project(state, entry, frames);
                if (frames.UnsentBytes >= UnsentBytesMax && !await FlushAsync(writer, frames, closing.Token))
                {
                    return false;
                }
            }

            if (!writer.HasBegun && !frames.HasUnsent)
            {
                if (feed.IsEnded)
                {
                    context.Response.StatusCode = StatusCodes.Status204NoContent; // EventSource stops at this.
                    return true;
                }

                if (events.Count > 0)
                {
                    continue; // Still before the cursor.
                }
            }

            // Headers leave at once, so that a waiting reader knows that it is connected.
            if ((frames.HasUnsent || !writer.HasBegun) && !await FlushAsync(writer, frames, closing.Token))
            {
                return false;
            }

            if (feed.IsEnded)
            {
                return true;
            }

            if (events.Count == 0 && !await WaitAsync(feed, closing.Token))
            {
                writer.WriteHeartbeat();
                frames.HasUnsent = true;
            }

            if (closing.IsCancellationRequested)
            {
                if (ending is not null && !context.RequestAborted.IsCancellationRequested)
                {
                    ending(frames);
                    await FlushAsync(writer, frames, closing.Token);
                }

                return false;
            }
        }
    }

    private async Task<bool> FlushAsync(SseWriter writer, FrameSink frames, CancellationToken closing)
    {
        writer.Begin();
        (frames.HasUnsent, frames.UnsentBytes) = (false, 0);
        failpoints.Hit(Failpoints.StreamBeforeFlush);
        if (!await writer.FlushAsync(closing))
        {
            return false;
        }

        failpoints.Hit(Failpoints.StreamFlushed);
        return true;
    }

    /// <summary>False: nothing happened for the time of a heartbeat.</summary>
    private async Task<bool> WaitAsync(RunFeed feed, CancellationToken closing)
    {
        try
        {
            await feed.WaitAsync().WaitAsync(SseWriter.Heartbeat, time, closing);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
        catch (OperationCanceledException)
        {
            return true;
        }
    }
}
