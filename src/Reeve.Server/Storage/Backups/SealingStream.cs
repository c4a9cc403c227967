using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Reeve.Server.Storage.Backups;

/// <summary>
/// Encrypts what is written, in chunks of 64 KiB. The nonce of a chunk is its number and whether it is the last, so a
/// chunk that was changed, moved, doubled or left out does not open, and neither does a file that was cut off or went
/// on (the STREAM construction). The head of the seal goes before them.
/// </summary>
internal sealed class SealingStream(Stream output, BackupSeal seal) : Stream
{
    internal const int ChunkBytes = 1 << 16;
    internal const int TagLength = 16;

    private readonly AesGcm _cipher = new(seal.Key, TagLength);
    private readonly byte[] _chunk = new byte[ChunkBytes];
    private readonly byte[] _sealed = new byte[ChunkBytes + TagLength];
    private int _length;
    private long _number;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>The twelve bytes of a chunk's nonce: its number, big-endian, and 1 for the last one.</summary>
    internal static byte[] Nonce(long number, bool isLast)
    {
        var nonce = new byte[12];
        BinaryPrimitives.WriteInt64BigEndian(nonce.AsSpan(3), number);
        nonce[11] = isLast ? (byte)1 : (byte)0;
        return nonce;
    }

    /// <summary>Seals the last chunk; without it nothing opens.</summary>
    internal void Finish() => SealChunk(isLast: true);

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            if (_length == ChunkBytes)
            {
                SealChunk(isLast: false); // Not earlier: a full chunk may be the last.
            }

            var taken = Math.Min(ChunkBytes - _length, buffer.Length);
            buffer[..taken].CopyTo(_chunk.AsSpan(_length));
            _length += taken;
            buffer = buffer[taken..];
        }
    }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        _cipher.Dispose();
        base.Dispose(disposing);
    }

    private void SealChunk(bool isLast)
    {
        _cipher.Encrypt(Nonce(_number, isLast), _chunk.AsSpan(0, _length), _sealed.AsSpan(0, _length),
            _sealed.AsSpan(_length, TagLength));
        output.Write(_sealed, 0, _length + TagLength);
        _number++;
        _length = 0;
    }
}

/// <summary>Decrypts what <see cref="SealingStream"/> wrote; hands out nothing that it has not authenticated.</summary>
internal sealed class OpeningStream(Stream input, BackupSeal seal, string shownName) : Stream
{
    private readonly AesGcm _cipher = new(seal.Key, SealingStream.TagLength);
    private readonly byte[] _sealed = new byte[SealingStream.ChunkBytes + SealingStream.TagLength + 1];
    private readonly byte[] _chunk = new byte[SealingStream.ChunkBytes];
    private int _held;
    private int _length;
    private int _read;
    private long _number;
    private bool _isAtEnd;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        if (buffer.Length == 0)
        {
            return 0;
        }

        while (_read == _length)
        {
            if (_isAtEnd)
            {
                return 0;
            }

            OpenChunk();
        }

        var taken = Math.Min(buffer.Length, _length - _read);
        _chunk.AsSpan(_read, taken).CopyTo(buffer);
        _read += taken;
        return taken;
    }

    public override void Flush()
    {
    }

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        _cipher.Dispose();
        base.Dispose(disposing);
    }

    // One byte more than a chunk is read: whether there is one tells the last chunk from the others.
    private void OpenChunk()
    {
        _held += input.ReadAtLeast(_sealed.AsSpan(_held), _sealed.Length - _held, throwOnEndOfStream: false);
        var isLast = _held < _sealed.Length;
        var length = Math.Min(_held, _sealed.Length - 1) - SealingStream.TagLength;
        try
        {
            _cipher.Decrypt(SealingStream.Nonce(_number, isLast), _sealed.AsSpan(0, Math.Max(length, 0)),
                length < 0 ? default : _sealed.AsSpan(length, SealingStream.TagLength),
                _chunk.AsSpan(0, Math.Max(length, 0)));
        }
        catch (Exception error) when (error is CryptographicException or ArgumentException)
        {
            throw new BackupException(
                $"{shownName} is cut off or was changed after the backup was made; it cannot be used.", error);
        }

        (_length, _read, _isAtEnd) = (length, 0, isLast);
        _number++;
        _held -= length + SealingStream.TagLength;
        _sealed[0] = _sealed[^1];
    }
}
