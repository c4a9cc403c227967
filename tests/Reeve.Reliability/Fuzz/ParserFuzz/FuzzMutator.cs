using System.Buffers;
using System.Text;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability.Fuzz.ParserFuzz;

/// <summary>Makes inputs from good ones: flips, splices, cuts, and words that parsers stumble over.</summary>
internal sealed class FuzzMutator(SimRandom random)
{
    internal const int LengthMax = 16 * 1024;

    private static readonly byte[][] Words = [.. new[]
    {
        "\"", "{", "}", "[", "]", ":", ",", "\\", "\\u0000", "\\ud800", "\\udc00", "\\u", "null", "true", "-", "-0",
        "1e400", "-1", "NaN", "1.5", "9223372036854775808", "18446744073709551616", "99999999999999999999999999999",
        "0x1", "1e-400", "100000001", "\n", "\r", "\r\n", "\n\n", "data:", "data: ", "data: [DONE]\n\n", "event: x\n",
        "id: 1\n", ": c\n", "\uFEFF", "\u2028", "\u0301", "é", "😀", "\0", "\u007f", " ", "\t", "_", "@", "@1", "%00",
        "%", "&", "=", ";", "<", "</", "<!--", "]]>", "&#x110000;", "&amp", "```", "**", "[](", "|-|", "#", "> ", "--",
        "__proto__", "$ref", "a",
    }.Select(Encoding.UTF8.GetBytes)];

    private byte[] _buffer = new byte[1_024];
    private int _length;

    /// <summary>The next input, good until the one after it.</summary>
    internal ReadOnlyMemory<byte> Next(IReadOnlyList<byte[]> seeds) => Next(random.Pick(seeds), seeds);

    /// <summary>The next input from <paramref name="start"/>, with pieces of others.</summary>
    internal ReadOnlyMemory<byte> Next(byte[] start, IReadOnlyList<byte[]> seeds)
    {
        Set(start);
        for (var changes = 1 + random.Below(4); changes > 0; changes--)
        {
            Change(seeds);
        }

        return _buffer.AsMemory(0, _length);
    }

    private void Change(IReadOnlyList<byte[]> seeds)
    {
        var at = random.Below(_length + 1);
        switch (random.Below(11))
        {
            case 0 when _length > 0:
                _buffer[random.Below(_length)] ^= (byte)(1 << random.Below(8));
                break;
            case 1 when _length > 0:
                _buffer[random.Below(_length)] = (byte)random.Next();
                break;
            case 2 or 3:
                Replace(at, 0, random.Pick(Words));
                break;
            case 4:
                Replace(at, Math.Min(random.Below(16), _length - at), []);
                break;
            case 5:
                Replace(at, Math.Min(random.Below(8), _length - at), random.Pick(Words));
                break;
            case 6:
                _length = at;
                break;
            case 7:
                var other = random.Pick(seeds);
                var from = random.Below(other.Length + 1);
                Replace(at, _length - at, other.AsSpan(from));
                break;
            case 8:
                Repeat(at, Math.Min(1 + random.Below(24), _length - at), 1 + random.Below(64));
                break;
            case 9:
                Number(random.Pick(Words));
                break;
            default:
                Replace(at, 0, [(byte)random.Next(), (byte)random.Next()]);
                break;
        }
    }

    /// <summary>Puts a word in the place of a whole number.</summary>
    private void Number(byte[] word)
    {
        var start = _buffer.AsSpan(0, _length).IndexOfAnyInRange((byte)'0', (byte)'9');
        if (start < 0)
        {
            return;
        }

        for (var skipped = random.Below(4); skipped > 0; skipped--)
        {
            var end = EndOfNumber(start);
            var next = _buffer.AsSpan(end, _length - end).IndexOfAnyInRange((byte)'0', (byte)'9');
            if (next < 0)
            {
                break;
            }

            start = end + next;
        }

        Replace(start, EndOfNumber(start) - start, word);
    }

    private int EndOfNumber(int start)
    {
        var length = _buffer.AsSpan(start, _length - start).IndexOfAnyExceptInRange((byte)'0', (byte)'9');
        return length < 0 ? _length : start + length;
    }

    private void Repeat(int at, int length, int times)
    {
        var piece = ArrayPool<byte>.Shared.Rent(Math.Max(length, 1));
        _buffer.AsSpan(at, length).CopyTo(piece);
        while (times-- > 0 && _length + length <= LengthMax)
        {
            Replace(at, 0, piece.AsSpan(0, length));
        }

        ArrayPool<byte>.Shared.Return(piece);
    }

    private void Set(ReadOnlySpan<byte> bytes)
    {
        _length = 0;
        Replace(0, 0, bytes);
    }

    private void Replace(int at, int length, ReadOnlySpan<byte> by)
    {
        by = by[..Math.Min(by.Length, Math.Max(0, LengthMax - _length))];
        var rest = _length - at - length;
        if (at + by.Length + rest > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, at + by.Length + rest));
        }

        _buffer.AsSpan(at + length, rest).CopyTo(_buffer.AsSpan(at + by.Length));
        by.CopyTo(_buffer.AsSpan(at));
        _length = at + by.Length + rest;
    }
}
