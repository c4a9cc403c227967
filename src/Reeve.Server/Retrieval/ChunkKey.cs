namespace Reeve.Server.Retrieval;

/// <summary>A chunk as one number: that of its document and, in the low bits, its index there.</summary>
internal static class ChunkKey
{
    private const int IndexBits = 24;

    internal static long Of(long document, int index) => (document << IndexBits) | (uint)index;

    internal static long Document(long key) => key >> IndexBits;

    internal static int Index(long key) => (int)(key & ((1L << IndexBits) - 1));
}
