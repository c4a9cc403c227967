using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability.Egress;

/// <summary>
/// What must never be reached, written down a second time and in another way than the server's table: first and last
/// address of each range, from IANA's registers of special addresses.
/// </summary>
internal static class ForbiddenAddresses
{
    private static readonly (uint First, uint Last)[] V4 =
    [
        (0x00000000, 0x00FFFFFF), (0x0A000000, 0x0AFFFFFF), (0x64400000, 0x647FFFFF), (0x7F000000, 0x7FFFFFFF),
        (0xA9FE0000, 0xA9FEFFFF), (0xAC100000, 0xAC1FFFFF), (0xC0000000, 0xC00000FF), (0xC0000200, 0xC00002FF),
        (0xC0586300, 0xC05863FF), (0xC0A80000, 0xC0A8FFFF), (0xC6120000, 0xC613FFFF), (0xC6336400, 0xC63364FF),
        (0xCB007100, 0xCB0071FF), (0xE0000000, 0xFFFFFFFF),
    ];

    /// <summary>First bytes of ranges that hold no v4 address in a place of their own.</summary>
    private static readonly string[] V6 =
    [
        "00000000000000000000000000000000", "00000000000000000000000000000001", "0100000000000000", "20010db8", "3ff",
        "5f00", "fc", "fd", "fe8", "fe9", "fea", "feb", "fec", "fed", "fee", "fef", "ff",
    ];

    /// <summary>First bytes of ranges that stand for a v4 address, which they hold.</summary>
    private static readonly string[] Embedding =
    [
        "000000000000000000000000", "00000000000000000000ffff", "0000000000000000ffff0000", "0064ff9b", "2002",
        "20010000",
    ];

    internal static bool Contains(IPAddress address)
    {
        if (address.AddressFamily == AddressFamily.InterNetwork)
        {
            return ContainsV4(BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes()));
        }

        var hex = Convert.ToHexStringLower(address.GetAddressBytes());
        return hex.StartsWith("00000000000000000000ffff", StringComparison.Ordinal)
            ? ContainsV4(Convert.ToUInt32(hex[24..], 16))
            : V6.Concat(Embedding).Any(one => hex.StartsWith(one, StringComparison.Ordinal) && !IsPublicDocument(hex));
    }

    /// <summary>Any forbidden v4 address; every other time one of this machine's own, where the trap is.</summary>
    internal static IPAddress Pick(SimRandom random)
    {
        if (random.Chance(50))
        {
            return new IPAddress(random.Chance(60)
                ? (byte[])[127, 0, 0, 1]
                : random.Chance(30) ? [0, 0, 0, 0] : [127, Byte(random), Byte(random), Byte(random)]);
        }

        var (first, last) = random.Pick(V4);
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, first + (uint)(random.Next() % ((ulong)last - first + 1)));
        return new IPAddress(bytes);
    }

    private static byte Byte(SimRandom random) => (byte)random.Below(256);

    private static bool ContainsV4(uint address) => V4.Any(range => address >= range.First && address <= range.Last);

    // 3ff as a prefix of text is a little more than 3fff::/20.
    private static bool IsPublicDocument(string hex) =>
        hex.StartsWith("3ff", StringComparison.Ordinal) && !hex.StartsWith("3fff0", StringComparison.Ordinal);
}
