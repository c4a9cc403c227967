using System.Net;

namespace Reeve.Server.Egress;

/// <summary>
/// A JSON request body in a rented array. The array goes back to the pool only when nobody can still be sending it: a
/// cancelled request may be read from for a moment longer, and another request's bytes must never leave in its place.
/// </summary>
internal sealed class PooledContent : HttpContent
{
    private readonly PooledBytes _body;
    private int _sending;

    internal PooledContent(PooledBytes body)
    {
        _body = body;
        Headers.TryAddWithoutValidation("Content-Type", "application/json");
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(
        Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _sending);
        await stream.WriteAsync(_body.Memory, cancellationToken);

        // Reached only when the write is over; one that failed may still be read from, and its array is left to the
        // garbage collector.
        Interlocked.Decrement(ref _sending);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _body.Length;
        return true;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && Interlocked.CompareExchange(ref _sending, int.MinValue / 2, 0) == 0)
        {
            _body.Dispose();
        }

        base.Dispose(disposing);
    }
}
