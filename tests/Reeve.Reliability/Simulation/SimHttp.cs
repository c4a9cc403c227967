using System.Text;
using Microsoft.AspNetCore.Http.Features;

namespace Reeve.Reliability.Simulation;

/// <summary>What a client asks, in the words of the wire.</summary>
internal sealed record SimRequest(SimRoute Route, string Path = "")
{
    internal string Body { get; init; } = "";

    internal string Query { get; init; } = "";

    internal string Agent { get; init; } = "";

    internal string? IdempotencyKey { get; init; }

    internal string? LastEventId { get; init; }
}

/// <summary>The endpoints that the history calls.</summary>
internal enum SimRoute
{
    MeshRun,
    MeshEvents,
    MeshGet,
    MeshCancel,
    AuterynRun,
    AuterynEvents,
    TopUp,
    Upload,
    DeleteConversation,
}

/// <summary>
/// What came back over one connection. Whatever was flushed has been seen; when the process dies the rest never comes.
/// </summary>
internal sealed class SimAnswer : IDisposable
{
    private readonly StringBuilder _text = new();
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _aborted = new();

    internal Task Done => _done.Task;

    internal CancellationToken Aborted => _aborted.Token;

    /// <summary>0: the connection broke before there was an answer, or in the middle of one.</summary>
    internal int Status { get; private set; }

    internal bool IsReplayed { get; private set; }

    internal bool HasBytes => _text.Length > 0;

    internal string Text => _text.ToString();

    internal bool IsOk => Status is >= 200 and < 300;

    internal void Append(ReadOnlySpan<byte> bytes)
    {
        if (!Done.IsCompleted)
        {
            _text.Append(Encoding.UTF8.GetString(bytes)); // The server writes whole characters.
        }
    }

    internal void Finish(int status, bool isReplayed)
    {
        if (!Done.IsCompleted)
        {
            (Status, IsReplayed) = (status, isReplayed);
            _done.SetResult();
        }
    }

    internal void Break() => _done.TrySetResult();

    /// <summary>The client goes away without a word.</summary>
    internal void Leave()
    {
        _done.TrySetResult();
        _aborted.Cancel();
    }

    public void Dispose() => _aborted.Dispose();
}

/// <summary>The way of the bytes from the server's writer to the client.</summary>
internal sealed class SimBody(SimAnswer answer, SimProcess process) : Stream
{
    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (process.IsDead)
        {
            throw new SimCrash();
        }

        answer.Append(buffer);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Write(buffer.Span);
        return default;
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        Write(buffer, offset, count);
        return Task.CompletedTask;
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}

/// <summary>Knows, as a real server does, that an answer has begun.</summary>
internal sealed class SimResponse(SimAnswer answer) : HttpResponseFeature
{
    public override bool HasStarted => answer.HasBytes;
}
