using System.Runtime.CompilerServices;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers;

internal delegate ValueTask<int> ReadBytes(Memory<byte> buffer);

/// <summary>Cuts the bytes of a stream into the pieces of JSON that it is made of.</summary>
internal interface IEventReader : IDisposable
{
    /// <summary>The JSON of the piece; good until the next <see cref="MoveAsync"/>.</summary>
    ReadOnlySpan<byte> Data { get; }

    /// <summary>False at the end of the stream.</summary>
    ValueTask<bool> MoveAsync();
}

/// <summary>
/// Reads the <c>data</c> of a provider's Server-Sent Events. Event names and ids are passed over: both protocols repeat
/// in the data what they say. A final event without its empty line was cut off and is not given, as the standard says.
/// </summary>
internal sealed class SseReader(ReadBytes read, int eventBytesMax = SseReader.EventBytesMax) : IEventReader
{
    internal const int EventBytesMax = 4 * 1024 * 1024;
    private const int BufferBytes = 4096;

    private readonly PooledBytes _buffer = new(BufferBytes);
    private PooledBytes? _joined;
    private int _dataStart;
    private int _dataLength;
    private int _dataLines;
    private int _start;
    private int _scanned;
    private bool _skipLineFeed;
    private bool _begun;

    /// <summary>What the event carries; good until the next <see cref="MoveAsync"/>.</summary>
    public ReadOnlySpan<byte> Data =>
        _dataLines > 1 ? _joined!.Span : _buffer.Span.Slice(_dataStart, _dataLength);

    public void Dispose()
    {
        _buffer.Dispose();
        _joined?.Dispose();
    }

    /// <summary>False at the end of the stream.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> MoveAsync()
    {
        _dataLines = 0;
        while (true)
        {
            while (TryLine(out var start, out var length))
            {
                if (length > 0)
                {
                    TakeLine(start, length);
                }
                else if (_dataLines > 0)
                {
                    return true;
                }
            }

            Compact();
            var count = await read(_buffer.GetMemory());
            if (count == 0)
            {
                return false;
            }

            _buffer.Advance(count);
        }
    }

    private bool TryLine(out int start, out int length)
    {
        var bytes = _buffer.Span;
        if (_skipLineFeed && _start < bytes.Length)
        {
            _skipLineFeed = false;
            if (bytes[_start] == (byte)'\n')
            {
                _start++;
                _scanned = _start;
            }
        }

        start = _start;
        var end = bytes[_scanned..].IndexOfAny((byte)'\n', (byte)'\r');
        if (end < 0)
        {
            _scanned = bytes.Length;
            length = 0;
            return false;
        }

        end += _scanned;
        length = end - start;
        _skipLineFeed = bytes[end] == (byte)'\r';
        _start = _scanned = end + 1;
        if (!_begun)
        {
            _begun = true;
            if (bytes.Slice(start, length).StartsWith("\uFEFF"u8))
            {
                start += 3;
                length -= 3;
            }
        }

        return true;
    }

    private void TakeLine(int start, int length)
    {
        var line = _buffer.Span.Slice(start, length);
        if (!line.StartsWith("data"u8) || (length > 4 && line[4] != (byte)':'))
        {
            return;
        }

        var skipped = length > 5 && line[5] == (byte)' ' ? 6 : Math.Min(length, 5);
        _dataLines++;
        if (_dataLines == 1)
        {
            _dataStart = start + skipped;
            _dataLength = length - skipped;
            return;
        }

        if (_dataLines == 2)
        {
            _joined ??= new PooledBytes(BufferBytes);
            _joined.Clear();
            _joined.Append(_buffer.Span.Slice(_dataStart, _dataLength));
        }

        _joined!.Append("\n"u8);
        _joined.Append(line[skipped..]);
        Bound(_joined.Length);
    }

    /// <summary>Moves what is still needed to the front, so that the buffer grows for long events alone.</summary>
    private void Compact()
    {
        var needed = _dataLines == 1 ? _dataStart : _start;
        _buffer.Consume(needed);
        _start -= needed;
        _scanned -= needed;
        _dataStart -= needed;
        Bound(_buffer.Length);
    }

    private void Bound(int length)
    {
        if (length > eventBytesMax)
        {
            throw new ProviderException(
                ProviderFault.Malformed, $"The provider sent an event of more than {eventBytesMax} bytes.");
        }
    }
}
