using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Reeve.Server;

/// <summary>
/// Ids of the wire: a prefix, <c>_</c> and 26 Crockford base32 characters of 16 bytes (6 of big-endian Unix
/// milliseconds, 10 random), read from the most significant bit; the last 2 of the 130 bits are zero.
/// </summary>
internal static class Id
{
    internal const string Agent = "agt";
    internal const string Message = "msg";
    internal const string Conversation = "conv";
    internal const string Document = "doc";
    internal const string Chunk = "chk";
    internal const string Receipt = "rcpt";
    internal const string Account = "acct";
    internal const string Run = "run";
    internal const string Key = "key";
    internal const string Event = "evt";
    internal const string Request = "req";
    internal const string Webhook = "whk";

    internal const int BodyLength = 26;
    private const string Alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// <summary>Reads an id in any letter case and gives its canonical form; false: no such id can exist.</summary>
    internal static bool TryParse(string prefix, string? text, [NotNullWhen(true)] out string? id)
    {
        id = null;
        if (text is null || text.Length != prefix.Length + 1 + BodyLength || text[prefix.Length] != '_'
            || !text.AsSpan(0, prefix.Length).Equals(prefix, StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        Span<char> body = stackalloc char[BodyLength];
        for (var i = 0; i < BodyLength; i++)
        {
            var character = char.ToUpperInvariant(text[prefix.Length + 1 + i]);
            var value = Alphabet.IndexOf(character, StringComparison.Ordinal);
            if (value < 0 || (i == BodyLength - 1 && (value & 3) != 0))
            {
                return false;
            }

            body[i] = character;
        }

        id = string.Concat(prefix, "_", body);
        return true;
    }

    /// <summary>The Unix milliseconds in an id that is canonical.</summary>
    internal static long Milliseconds(string id)
    {
        var body = id.AsSpan(id.IndexOf('_', StringComparison.Ordinal) + 1);
        var bits = 0UL;
        foreach (var character in body[..10])
        {
            bits = (bits << 5) | (uint)Alphabet.IndexOf(character, StringComparison.Ordinal);
        }

        return (long)(bits >> 2); // 50 bits were read, the first 48 are the time.
    }

    /// <summary>The same 26 characters under another prefix (a conversation shown as a task).</summary>
    internal static string WithPrefix(string prefix, string id) =>
        string.Concat(prefix, "_", id.AsSpan(id.IndexOf('_', StringComparison.Ordinal) + 1));

    /// <summary>The id that comes before every other one of this time.</summary>
    internal static string First(string prefix, DateTimeOffset time)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteInt64BigEndian(bytes, time.ToUnixTimeMilliseconds() << 16);
        return Encode(prefix, bytes);
    }

    internal static string Encode(string prefix, ReadOnlySpan<byte> bytes)
    {
        var high = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        var low = BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]);
        var value = new UInt128(high, low);
        return string.Create(prefix.Length + 1 + BodyLength, (prefix, value), static (span, state) =>
        {
            state.prefix.CopyTo(span);
            span[state.prefix.Length] = '_';
            var body = span[(state.prefix.Length + 1)..];
            for (var i = 0; i < BodyLength - 1; i++)
            {
                body[i] = Alphabet[(int)(ulong)(state.value >> (123 - (5 * i))) & 31];
            }

            body[BodyLength - 1] = Alphabet[((int)(ulong)state.value & 7) << 2];
        });
    }
}

/// <summary>
/// Makes ids that only grow within the process, so that the order of ids is the order of creation even inside one
/// millisecond and after the clock was set back.
/// </summary>
internal sealed class IdGenerator(TimeProvider time, RandomNumberGenerator? source = null)
{
    private const int RandomBytes = 10;

    private readonly Lock _lock = new();
    private readonly RandomNumberGenerator _source = source ?? RandomNumberGenerator.Create();
    private readonly byte[] _random = new byte[256 * RandomBytes]; // A call of the generator costs more than an id.
    private int _randomLeft;
    private long _lastMilliseconds;
    private UInt128 _lastRandom;

    internal string New(string prefix)
    {
        Span<byte> bytes = stackalloc byte[16];
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        lock (_lock)
        {
            if (_randomLeft == 0)
            {
                _source.GetBytes(_random);
                _randomLeft = _random.Length;
            }

            _randomLeft -= RandomBytes;
            _random.AsSpan(_randomLeft, RandomBytes).CopyTo(bytes[6..]);
            if (now > _lastMilliseconds)
            {
                _lastMilliseconds = now;
                _lastRandom = Random80(bytes) >> 1; // Half of the room stays free for the steps below.
            }
            else
            {
                _lastRandom += (Random80(bytes) >> 24) + 1; // A random step of up to 56 bits.
            }

            Write(bytes);
        }

        return Id.Encode(prefix, bytes);
    }

    /// <summary>
    /// Makes every later id greater than those with this time: what an earlier process wrote stays before what this one
    /// writes, also when the clock was set back in between.
    /// </summary>
    internal void StartAfter(string id)
    {
        lock (_lock)
        {
            var milliseconds = Id.Milliseconds(id);
            if (milliseconds >= _lastMilliseconds)
            {
                (_lastMilliseconds, _lastRandom) = (milliseconds + 1, 0);
            }
        }
    }

    private static UInt128 Random80(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));

    private void Write(Span<byte> bytes)
    {
        Span<byte> milliseconds = stackalloc byte[8];
        BinaryPrimitives.WriteInt64BigEndian(milliseconds, _lastMilliseconds);
        milliseconds[2..].CopyTo(bytes);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[6..], (ushort)(ulong)(_lastRandom >> 64));
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], (ulong)_lastRandom);
    }
}
