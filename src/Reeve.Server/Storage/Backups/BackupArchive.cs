using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Reeve.Server.Storage.Backups;

/// <summary>
/// The inside of a backup: a tar archive of named parts, the last of which has the SHA-256 of the others, in the form
/// that <c>sha256sum -c</c> reads.
/// </summary>
/// <remarks>
/// Each byte is either content under a SHA-256 or can be computed from the rest, so no change goes unseen. The order is
/// fixed: manifest, database, master key (if any), sums, the end.
/// </remarks>
internal static class BackupArchive
{
    internal const string Manifest = "manifest.json";
    internal const string Sums = "SHA256SUMS";

    internal const int BufferBytes = 1 << 17;

    internal static string SumLine(byte[] sha256, string name) => $"{Convert.ToHexStringLower(sha256)}  {name}\n";
}

internal sealed class BackupArchiveWriter(Stream output, DateTimeOffset madeAt)
{
    private readonly long _modified = madeAt.ToUnixTimeSeconds();
    private readonly StringBuilder _sums = new();

    internal void Add(string name, ReadOnlySpan<byte> content) =>
        Add(name, new MemoryStream(content.ToArray()), CancellationToken.None);

    /// <summary>Adds the rest of a stream that knows its length.</summary>
    internal void Add(string name, Stream content, CancellationToken cancellationToken)
    {
        var length = content.Length - content.Position;
        output.Write(TarBlock.Header(name, length, _modified));
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(BackupArchive.BufferBytes);
        var left = length;
        while (left > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var read = content.Read(buffer, 0, (int)Math.Min(buffer.Length, left));
            if (read == 0)
            {
                throw new EndOfStreamException(string.Create(CultureInfo.InvariantCulture,
                    $"{name} is {left} bytes shorter than it was."));
            }

            hash.AppendData(buffer, 0, read);
            output.Write(buffer, 0, read);
            left -= read;
        }

        ArrayPool<byte>.Shared.Return(buffer);
        output.Write(new byte[TarBlock.Padding(length)]);
        _sums.Append(BackupArchive.SumLine(hash.GetHashAndReset(), name));
    }

    /// <summary>Writes the sums and the end of the archive.</summary>
    internal void Finish()
    {
        Add(BackupArchive.Sums, Encoding.ASCII.GetBytes(_sums.ToString()));
        output.Write(new byte[TarBlock.EndLength]);
    }
}

/// <summary>Reads what the writer wrote, and nothing else.</summary>
/// <exception cref="BackupException">Something in it is not as it was written.</exception>
internal sealed class BackupArchiveReader(Stream input, string shownName)
{
    private readonly StringBuilder _sums = new();
    private (string Name, long Bytes, long Modified)? _next;
    private long? _modified;

    /// <summary>The name of the part that comes next.</summary>
    internal string Next()
    {
        if (_next is null)
        {
            var block = new byte[TarBlock.Length];
            ReadAll(block);
            _next = TarBlock.Read(block) ?? throw Changed();
            _modified ??= _next.Value.Modified;
            if (_next.Value.Modified != _modified)
            {
                throw Changed();
            }
        }

        return _next.Value.Name;
    }

    /// <summary>The content of a small part.</summary>
    internal byte[] Read(int bytesMax)
    {
        Next();
        if (_next!.Value.Bytes > bytesMax)
        {
            throw Changed();
        }

        using var content = new MemoryStream();
        CopyTo(content, CancellationToken.None);
        return content.ToArray();
    }

    internal void CopyTo(Stream output, CancellationToken cancellationToken)
    {
        var name = Next();
        var (length, buffer) = (_next!.Value.Bytes, ArrayPool<byte>.Shared.Rent(BackupArchive.BufferBytes));
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var left = length; left > 0;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var read = input.Read(buffer, 0, (int)Math.Min(buffer.Length, left));
            if (read == 0)
            {
                throw CutOff();
            }

            hash.AppendData(buffer, 0, read);
            output.Write(buffer, 0, read);
            left -= read;
        }

        ArrayPool<byte>.Shared.Return(buffer);
        ExpectZeros(TarBlock.Padding(length));
        _sums.Append(BackupArchive.SumLine(hash.GetHashAndReset(), name));
        _next = null;
    }

    /// <summary>Checks the sums and that nothing follows; only then is what was read what was written.</summary>
    internal void Finish()
    {
        var expected = Encoding.ASCII.GetBytes(_sums.ToString());
        if (Next() != BackupArchive.Sums || !Read(expected.Length).AsSpan().SequenceEqual(expected))
        {
            throw Changed();
        }

        ExpectZeros(TarBlock.EndLength);
        if (input.ReadByte() >= 0)
        {
            throw Changed();
        }
    }

    internal BackupException Changed() => new($"{shownName} was changed after the backup was made; it cannot be used.");

    private BackupException CutOff() => new($"{shownName} is cut off: its end is missing, so it cannot be used.");

    private void ExpectZeros(int count)
    {
        var zeros = new byte[count];
        ReadAll(zeros);
        if (zeros.AsSpan().ContainsAnyExcept((byte)0))
        {
            throw Changed();
        }
    }

    private void ReadAll(Span<byte> block)
    {
        if (input.ReadAtLeast(block, block.Length, throwOnEndOfStream: false) < block.Length)
        {
            throw CutOff();
        }
    }
}
