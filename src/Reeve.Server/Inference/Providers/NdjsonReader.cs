using System.Runtime.CompilerServices;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers;

/// <summary>
/// Reads a stream that is one JSON value a line. The last line may lack its end: whether it was cut off shows when it
/// is read as JSON.
/// </summary>
internal sealed class NdjsonReader(ReadBytes read, int lineBytesMax = SseReader.EventBytesMax) : IEventReader
{
    private const int BufferBytes = 4096;

    private readonly PooledBytes _buffer = new(BufferBytes);
    private int _start;
    private int _length;
    private int _next;
    private int _scanned;

    public ReadOnlySpan<byte> Data => _buffer.Span.Slice(_start, _length);

    public void Dispose() => _buffer.Dispose();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> MoveAsync()
    {
        while (true)
        {
            while (_buffer.Span[_scanned..].IndexOf((byte)'\n') is >= 0 and var at)
            {
                Take(_scanned + at);
                _next = _scanned = _scanned + at + 1;
                if (_length > 0)
                {
                    return true;
                }
            }

            _buffer.Consume(_next);
            (_next, _scanned) = (0, _buffer.Length);
            if (_buffer.Length > lineBytesMax)
            {
                throw new ProviderException(
                    ProviderFault.Malformed, $"The provider sent a line of more than {lineBytesMax} bytes.");
            }

            var count = await read(_buffer.GetMemory());
            if (count == 0)
            {
                Take(_buffer.Length);
                _next = _scanned = _buffer.Length;
                return _length > 0;
            }

            _buffer.Advance(count);
        }
    }

    private void Take(int end)
    {
        var line = _buffer.Span[_next..end].TrimEnd((byte)'\r').TrimEnd((byte)' ');
        (_start, _length) = (_next, line.Length);
    }
}
