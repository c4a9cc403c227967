namespace Reeve.Server.Retrieval;

/// <summary>
/// The bytes of postings. For each document its number, twice the number of its chunks that have the term, plus one
/// when the places follow, and the length of what follows; then for each of these chunks its index, the occurrences of
/// the term in it, the terms it has in all and, where there are places, the place of the first occurrence and the steps
/// to the next ones. Numbers have seven bits a byte, the lowest first.
/// </summary>
/// <remarks>
/// Two kinds have no places: stop words, which are searched for only when a query has nothing else, and what is
/// blinded, since the order of its words would be a cipher of the text, word for word.
/// </remarks>
internal static class PackedPostings
{
    internal static byte[] Of(long document, Posting posting)
    {
        var bytes = new List<byte>(posting.Chunks.Length + 12);
        Append(bytes, document);
        Append(bytes, ((long)posting.ChunkCount << 1) + (posting.HasPlaces ? 1 : 0));
        Append(bytes, posting.Chunks.Length);
        bytes.AddRange(posting.Chunks);
        return [.. bytes];
    }

    /// <summary>Takes the next document off the front.</summary>
    internal static PackedDocument NextDocument(ref ReadOnlySpan<byte> packed)
    {
        var number = Next(ref packed);
        var chunks = Next(ref packed);
        var length = (int)Next(ref packed);
        var document = new PackedDocument(number, (int)(chunks >> 1), (chunks & 1) != 0, packed[..length]);
        packed = packed[length..];
        return document;
    }

    /// <summary>True when a document has just these bytes, and once.</summary>
    internal static bool Has(ReadOnlySpan<byte> packed, long document, ReadOnlySpan<byte> own)
    {
        var found = 0;
        while (!packed.IsEmpty)
        {
            var before = packed;
            if (NextDocument(ref packed).Number == document)
            {
                found += before[..(before.Length - packed.Length)].SequenceEqual(own) ? 1 : 2;
            }
        }

        return found == 1;
    }

    internal static byte[] Without(long document, ReadOnlySpan<byte> packed)
    {
        var kept = new List<byte>(packed.Length);
        while (!packed.IsEmpty)
        {
            var before = packed;
            if (NextDocument(ref packed).Number != document)
            {
                kept.AddRange(before[..(before.Length - packed.Length)]);
            }
        }

        return [.. kept];
    }

    /// <summary>What one document has, without places; nothing when it is not there.</summary>
    internal static byte[] Only(long document, ReadOnlySpan<byte> packed)
    {
        while (!packed.IsEmpty)
        {
            var held = NextDocument(ref packed);
            if (held.Number == document)
            {
                return Of(document, Unplaced(new Posting("", [.. held.Chunks], held.ChunkCount, held.HasPlaces)));
            }
        }

        return [];
    }

    /// <summary>The same chunks without places.</summary>
    internal static Posting Unplaced(Posting posting)
    {
        var bytes = new List<byte>(posting.Chunks.Length);
        ReadOnlySpan<byte> chunks = posting.Chunks;
        while (!chunks.IsEmpty)
        {
            var (chunk, count, length) = (Next(ref chunks), Next(ref chunks), Next(ref chunks));
            AppendChunk(bytes, chunk, length, count);
            Skip(ref chunks, posting.HasPlaces ? count : 0);
        }

        return posting with { Chunks = [.. bytes], HasPlaces = false };
    }

    internal static void AppendChunk(List<byte> bytes, long chunk, long length, long count)
    {
        Append(bytes, chunk);
        Append(bytes, count);
        Append(bytes, length);
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

    /// <summary>Passes over so many numbers.</summary>
    internal static void Skip(ref ReadOnlySpan<byte> packed, long numbers)
    {
        var index = 0;
        for (; numbers > 0; index++)
        {
            numbers -= packed[index] < 0x80 ? 1 : 0;
        }

        packed = packed[index..];
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

/// <summary>What one document has of a term, packed.</summary>
internal readonly ref struct PackedDocument(long number, int chunkCount, bool hasPlaces, ReadOnlySpan<byte> chunks)
{
    internal long Number { get; } = number;

    internal int ChunkCount { get; } = chunkCount;

    internal bool HasPlaces { get; } = hasPlaces;

    internal ReadOnlySpan<byte> Chunks { get; } = chunks;
}
