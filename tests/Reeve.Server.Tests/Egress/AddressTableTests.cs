using System.Net;
using Reeve.Server.Egress;

namespace Reeve.Server.Tests.Egress;

public sealed class AddressTableTests
{
    [Theory]
    [InlineData("0.0.0.0", "0.255.255.255")]
    [InlineData("10.0.0.0", "10.255.255.255")]
    [InlineData("100.64.0.0", "100.127.255.255")]
    [InlineData("127.0.0.0", "127.255.255.255")]
    [InlineData("168.63.129.16", "168.63.129.16")]
    [InlineData("169.254.0.0", "169.254.255.255")]
    [InlineData("172.16.0.0", "172.31.255.255")]
    [InlineData("192.0.0.0", "192.0.0.255")]
    [InlineData("192.0.2.0", "192.0.2.255")]
    [InlineData("192.88.99.0", "192.88.99.255")]
    [InlineData("192.168.0.0", "192.168.255.255")]
    [InlineData("198.18.0.0", "198.19.255.255")]
    [InlineData("198.51.100.0", "198.51.100.255")]
    [InlineData("203.0.113.0", "203.0.113.255")]
    [InlineData("224.0.0.0", "255.255.255.255")]
    [InlineData("::ffff:127.0.0.0", "::ffff:127.255.255.255")]
    [InlineData("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff")]
    [InlineData("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")]
    [InlineData("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]
    [InlineData("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff")]
    public void Range_ThatIsNotPublic_IsForbiddenFromItsFirstToItsLastAddress(string first, string last)
    {
        var (from, to) = (IPAddress.Parse(first), IPAddress.Parse(last));

        Assert.False(AddressTable.IsPublic(from));
        Assert.False(AddressTable.IsPublic(to));
        foreach (var beside in new[] { Step(from, -1), Step(to, 1) }.OfType<IPAddress>())
        {
            // The next address is the public's, but where two forbidden ranges meet.
            Assert.True(AddressTable.IsPublic(beside) || Meets.Contains(beside.ToString()), beside.ToString());
        }
    }

    private static readonly string[] Meets =
    [
        "223.255.255.255", "::ffff:126.255.255.255", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::",
        "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::", "3fff:1000::",
    ];

    [Theory]
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("::127.0.0.1")] // v4-compatible
    [InlineData("::ffff:10.0.0.5")]
    [InlineData("::ffff:0:127.0.0.1")] // v4-translated
    [InlineData("64:ff9b::7f00:1")] // NAT64
    [InlineData("64:ff9b:1::1")]
    [InlineData("100::1")] // discard
    [InlineData("2001:0:7f00:1::")] // Teredo
    [InlineData("2002:7f00:1::")] // 6to4
    [InlineData("fc00::1")]
    [InlineData("fd00:ec2::254")] // Amazon's metadata
    [InlineData("fe80::1")]
    [InlineData("fe80::1%1")]
    [InlineData("fec0::1")] // site-local
    [InlineData("ff02::1")]
    [InlineData("5f00::1")]
    [InlineData("4000::1")]
    public void AddressV6_OfNobodyOrOfTheNetworkItself_IsForbidden(string address) =>
        Assert.False(AddressTable.IsPublic(IPAddress.Parse(address)));

    [Theory]
    [InlineData("1.1.1.1")]
    [InlineData("8.8.8.8")]
    [InlineData("100.63.255.255")]
    [InlineData("172.32.0.0")]
    [InlineData("::ffff:8.8.8.8")]
    [InlineData("2606:4700:4700::1111")]
    [InlineData("2001:4860:4860::8888")]
    [InlineData("2a00:1450:4001:81b::200e")]
    public void Address_OfThePublic_IsAllowed(string address) =>
        Assert.True(AddressTable.IsPublic(IPAddress.Parse(address)));

    private static IPAddress? Step(IPAddress address, int step)
    {
        var bytes = address.GetAddressBytes();
        for (var i = bytes.Length - 1; i >= 0; i--)
        {
            bytes[i] = unchecked((byte)(bytes[i] + step));
            if (bytes[i] != (step > 0 ? 0 : 255))
            {
                return new IPAddress(bytes);
            }
        }

        return null; // There is nothing before the first and after the last.
    }
}
