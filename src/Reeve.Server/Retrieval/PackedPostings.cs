namespace Reeve.Server.Retrieval;

/// <summary>
/// The bytes of postings: for each document its number, the length of what follows, and triples of a chunk's index, the
/// occurrences of the term in it and the terms it has in all. Numbers have seven bits a byte, the lowest first.
/// </summary>
internal static class PackedPostings
{
    internal static byte[] Of(long document, byte[] chunks)
    {
        var bytes = new List<byte>(chunks.Length + 8);
        Append(bytes, document);
        Append(bytes, chunks.Length);
        bytes.AddRange(chunks);
        return [.. bytes];
    }

    /// <summary>Takes the next document off the front.</summary>
    internal static long NextDocument(ref ReadOnlySpan<byte> packed, out ReadOnlySpan<byte> chunks)
    {
        var document = Next(ref packed);
        var length = (int)Next(ref packed);
        chunks = packed[..length];
        packed = packed[length..];
        return document;
    }

    /// <summary>The triples of one document; none when it is not there.</summary>
    internal static List<(int Chunk, long Count, long Length)> ChunksOf(long document, ReadOnlySpan<byte> packed)
    {
        var triples = new List<(int, long, long)>();
        while (!packed.IsEmpty)
        {
            if (NextDocument(ref packed, out var chunks) != document)
            {
                continue;
            }

            while (!chunks.IsEmpty)
            {
                triples.Add(((int)Next(ref chunks), Next(ref chunks), Next(ref chunks)));
            }
        }

        return triples;
    }

    internal static byte[] Without(long document, ReadOnlySpan<byte> packed) =>
        Keep(packed, other => other != document);

    internal static byte[] Only(long document, ReadOnlySpan<byte> packed) =>
        Keep(packed, other => other == document);

    private static byte[] Keep(ReadOnlySpan<byte> packed, Predicate<long> isKept)
    {
        var kept = new List<byte>(packed.Length);
        while (!packed.IsEmpty)
        {
            var before = packed;
            if (isKept(NextDocument(ref packed, out _)))
            {
                kept.AddRange(before[..(before.Length - packed.Length)]);
            }
        }

        return [.. kept];
    }

    internal static long Next(ref ReadOnlySpan<byte> packed)
    {
        var value = 0L;
        var shift = 0;
        var index = 0;
        while (true)
        {
            var part = packed[index++];
            value |= (long)(part & 0x7F) << shift;
            if (part < 0x80)
            {
                packed = packed[index..];
                return value;
            }

            shift += 7;
        }
    }

    internal static void Append(List<byte> bytes, long value)
    {
        var rest = (ulong)value;
        while (rest >= 0x80)
        {
            bytes.Add((byte)(rest | 0x80));
            rest >>= 7;
        }

        bytes.Add((byte)rest);
    }
}
