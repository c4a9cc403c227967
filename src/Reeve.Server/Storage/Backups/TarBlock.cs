using System.Buffers.Binary;
using System.Text;

namespace Reeve.Server.Storage.Backups;

/// <summary>
/// The header of a file in a tar archive, with one spelling for each file. That is why it is written here and not by
/// the base library: whoever reads it makes it again and compares, so no bit of it can be changed unseen.
/// </summary>
internal static class TarBlock
{
    internal const int Length = 512;
    internal const int EndLength = 2 * Length;

    private const int NameMax = 100;
    private const int SizeAt = 124;
    private const int ModifiedAt = 136;
    private const int NumberLength = 12;
    private const int ChecksumAt = 148;
    private const int TypeAt = 156;
    private const int MagicAt = 257;
    private const long OctalMax = (1L << 33) - 1;
    private const byte Base256 = 0x80;

    /// <param name="name">ASCII, at most 100 characters.</param>
    /// <param name="bytes">The length of the file.</param>
    /// <param name="modified">Unix seconds.</param>
    internal static byte[] Header(string name, long bytes, long modified)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(name.Length, NameMax);
        var block = new byte[Length];
        Encoding.ASCII.GetBytes(name, block);
        Encoding.ASCII.GetBytes("0000600\00000000\00000000\0", block.AsSpan(NameMax)); // Mode, user, group.
        Number(block.AsSpan(SizeAt, NumberLength), bytes);
        Number(block.AsSpan(ModifiedAt, NumberLength), modified);
        block[TypeAt] = (byte)'0';
        "ustar\000"u8.CopyTo(block.AsSpan(MagicAt));

        // The sum is taken as if it were eight spaces itself.
        block.AsSpan(ChecksumAt, 8).Fill((byte)' ');
        var sum = 0;
        foreach (var one in block)
        {
            sum += one;
        }

        Encoding.ASCII.GetBytes(Octal(sum, 6) + "\0 ", block.AsSpan(ChecksumAt));
        return block;
    }

    /// <summary>Name, length and time of a header; null when it is not one that <see cref="Header"/> made.</summary>
    internal static (string Name, long Bytes, long Modified)? Read(ReadOnlySpan<byte> block)
    {
        var nameLength = block[..NameMax].IndexOf((byte)0);
        if (nameLength <= 0 || Number(block.Slice(SizeAt, NumberLength)) is not { } bytes
            || Number(block.Slice(ModifiedAt, NumberLength)) is not { } modified)
        {
            return null;
        }

        var name = Encoding.ASCII.GetString(block[..nameLength]);
        return block.SequenceEqual(Header(name, bytes, modified)) ? (name, bytes, modified) : null;
    }

    /// <summary>Zeros that fill the last block of a file.</summary>
    internal static int Padding(long bytes) => (int)((Length - (bytes % Length)) % Length);

    private static void Number(Span<byte> field, long value)
    {
        if (value <= OctalMax)
        {
            Encoding.ASCII.GetBytes(Octal(value, NumberLength - 1) + "\0", field);
            return;
        }

        // 8 GiB and more: as every tar of today writes it.
        field[0] = Base256;
        BinaryPrimitives.WriteInt64BigEndian(field[(NumberLength - sizeof(long))..], value);
    }

    private static long? Number(ReadOnlySpan<byte> field)
    {
        if (field[0] == Base256)
        {
            var large = BinaryPrimitives.ReadInt64BigEndian(field[(NumberLength - sizeof(long))..]);
            return large > OctalMax ? large : null;
        }

        var value = 0L;
        foreach (var digit in field[..(NumberLength - 1)])
        {
            if (digit is < (byte)'0' or > (byte)'7')
            {
                return null;
            }

            value = (value * 8) + (digit - '0');
        }

        return value;
    }

    private static string Octal(long value, int digits) => Convert.ToString(value, 8).PadLeft(digits, '0');
}
