using System.Security.Cryptography;

namespace Reeve.Server.Accounts;

/// <summary>
/// The text of a key: its kind, <c>_</c>, 32 random base62 characters and 6 that are the CRC-32 of all before them. The
/// checksum lets a mistyped key fail without a look into the database.
/// </summary>
internal static class ApiKeyText
{
    private const int RandomLength = 32;
    private const int ChecksumLength = 6;
    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// <summary>The longest text that can be a key.</summary>
    internal const int LengthMax = 11 + RandomLength + ChecksumLength;

    private static readonly uint[] CrcTable = [.. Enumerable.Range(0, 256).Select(CrcOf)];

    internal static string Make(string kind)
    {
        var body = $"{kind}_{RandomNumberGenerator.GetString(Alphabet, RandomLength)}";
        Span<char> checksum = stackalloc char[ChecksumLength];
        WriteChecksum(body, checksum);
        return string.Concat(body, checksum);
    }

    /// <summary>The kind of a well-formed key with a right checksum; null for anything else.</summary>
    internal static string? KindOf(ReadOnlySpan<char> text)
    {
        foreach (var kind in ApiKeyKinds.All)
        {
            if (text.Length == kind.Length + 1 + RandomLength + ChecksumLength && text[kind.Length] == '_'
                && text.StartsWith(kind, StringComparison.Ordinal))
            {
                return IsWhole(text, kind.Length + 1) ? kind : null;
            }
        }

        return null;
    }

    /// <summary>The text with all but the kind taken out of what may be a key, well-formed or not.</summary>
    internal static string Hide(string text)
    {
        foreach (var kind in ApiKeyKinds.All)
        {
            var start = 0;
            while (text.IndexOf(kind + "_", start, StringComparison.Ordinal) is >= 0 and var found)
            {
                start = found + kind.Length + 1;
                var end = start;
                while (end < text.Length && char.IsAsciiLetterOrDigit(text[end]))
                {
                    end++;
                }

                text = text.Remove(start, end - start);
            }
        }

        return text;
    }

    private static bool IsWhole(ReadOnlySpan<char> text, int start)
    {
        foreach (var character in text[start..])
        {
            if (!char.IsAsciiLetterOrDigit(character))
            {
                return false;
            }
        }

        Span<char> checksum = stackalloc char[ChecksumLength];
        WriteChecksum(text[..^ChecksumLength], checksum);
        return text.EndsWith(checksum, StringComparison.Ordinal);
    }

    private static void WriteChecksum(ReadOnlySpan<char> text, Span<char> checksum)
    {
        var crc = uint.MaxValue;
        foreach (var character in text)
        {
            crc = (crc >> 8) ^ CrcTable[(byte)(crc ^ character)];
        }

        crc = ~crc;
        for (var i = ChecksumLength - 1; i >= 0; i--)
        {
            checksum[i] = Alphabet[(int)(crc % 62)];
            crc /= 62;
        }
    }

    private static uint CrcOf(int value)
    {
        var crc = (uint)value;
        for (var bit = 0; bit < 8; bit++)
        {
            crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0xEDB88320;
        }

        return crc;
    }
}
