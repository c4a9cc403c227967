using System.Security.Cryptography;
using System.Text;

namespace Reeve.Bench;

/// <summary>A well-formed key for <c>REEVE_ADMIN_KEY</c>: prefix, 32 random characters, CRC-32.</summary>
internal static class AdminKey
{
    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const int RandomLength = 32;
    private const int ChecksumLength = 6;

    internal static string New()
    {
        var body = "mesh_live_" + RandomNumberGenerator.GetString(Alphabet, RandomLength);
        return body + Checksum(body);
    }

    private static string Checksum(string body)
    {
        var crc = uint.MaxValue;
        foreach (var octet in Encoding.ASCII.GetBytes(body))
        {
            crc ^= octet;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0xEDB88320;
            }
        }

        var value = ~crc;
        var digits = new char[ChecksumLength];
        for (var i = ChecksumLength - 1; i >= 0; i--)
        {
            digits[i] = Alphabet[(int)(value % 62)];
            value /= 62;
        }

        return new string(digits);
    }
}
