using System.Globalization;
using System.Net;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability.Egress;

/// <summary>One way to write a forbidden address as a URL; a name among them says what it resolves to.</summary>
internal sealed record Spelling(string Url, string Name, IReadOnlyList<IPAddress> First, IReadOnlyList<IPAddress> Then);

/// <summary>Writes forbidden addresses in every way that somebody may read as that address.</summary>
internal sealed class AddressSpellings(SimRandom random, int port)
{
    private static readonly IPAddress[] Public =
        [IPAddress.Parse("8.8.8.8"), IPAddress.Parse("2606:4700:4700::1111")];

    private int _names;

    internal Spelling Next()
    {
        var address = ForbiddenAddresses.Pick(random);
        if (random.Chance(20))
        {
            return Named(address);
        }

        var host = random.Chance(40) ? SixOf(address) : random.Chance(12) ? LocalName() : FourOf(address);
        return new Spelling(Url(host), "", [], []);
    }

    /// <summary>A good name with a bad address: alone, among others, or only when it is asked for again.</summary>
    private Spelling Named(IPAddress address)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"n{_names++}.trap.example");
        var bad = random.Chance(30) ? IPAddress.Parse(SixOf(address, zones: false)[1..^1]) : address;
        IPAddress[] mixed = random.Below(3) switch
        {
            0 => [bad],
            1 => [random.Pick(Public), bad],
            _ => [bad, random.Pick(Public)],
        };
        return random.Chance(40)
            ? new Spelling(Url(name), name, [random.Pick(Public)], mixed)
            : new Spelling(Url(name), name, mixed, mixed);
    }

    private string LocalName() => random.Pick((string[])
    [
        "localhost", "LocalHost", "localhost.", "a.localhost", "localhost.localdomain", "ip6-localhost",
        "ip6-loopback", "ｌｏｃａｌｈｏｓｔ", "local%68ost", "localhost%00.hooks.example", "broadcasthost",
        "localhost%2e", "loc\talhost", "0", "0x0", "[::]", "[0:0:0:0:0:0:0:0]", "",
    ]);

    private string FourOf(IPAddress address)
    {
        var bytes = address.GetAddressBytes();
        var whole = ((uint)bytes[0] << 24) | ((uint)bytes[1] << 16) | ((uint)bytes[2] << 8) | bytes[3];
        var text = random.Below(6) switch
        {
            0 => Part(whole),
            1 => $"{Part(bytes[0])}.{Part(whole & 0xFFFFFF)}",
            2 => $"{Part(bytes[0])}.{Part(bytes[1])}.{Part(whole & 0xFFFF)}",
            _ => string.Join('.', bytes.Select(one => Part(one))),
        };
        return Disguise(text);
    }

    /// <summary>Decimal, octal or hexadecimal, with zeros before it, or past its end and around again.</summary>
    private string Part(uint value) => random.Below(9) switch
    {
        0 => "0x" + value.ToString(random.Chance(50) ? "x" : "X8", CultureInfo.InvariantCulture),
        1 => "0" + Convert.ToString(value, 8),
        2 => "000" + Convert.ToString(value, 8),
        3 => value.ToString("D6", CultureInfo.InvariantCulture),
        4 when value < 256 => (value + 256).ToString(CultureInfo.InvariantCulture),
        _ => value.ToString(CultureInfo.InvariantCulture),
    };

    private string Disguise(string text) => random.Below(18) switch
    {
        0 => text + ".",
        1 => text + "..",
        2 => Map(text, static digit => (char)(digit - '0' + '０')),
        3 => Map(text, static digit => digit == '0' ? '⓪' : (char)(digit - '1' + '①')),
        4 => Map(text, static digit => (char)(digit - '0' + '٠')),
        5 => text.Replace('.', random.Pick((char[])['。', '．', '｡'])),
        6 => string.Concat(text.Select(one => char.IsAsciiDigit(one) && random.Chance(50)
            ? $"%{(int)one:x2}" : $"{one}")),
        7 => text.Insert(random.Below(text.Length),
            random.Pick((string[])["\t", "\n", "\r", "\u00ad", "\u200b", "%0a"])),
        8 => text + random.Pick((string[])["%00", "%2e", "%20", ";", ",", "%09.hooks.example"]),
        _ => text,
    };

    private string SixOf(IPAddress address, bool zones = true)
    {
        var dotted = address.ToString();
        var bytes = address.GetAddressBytes();
        var hex = $"{bytes[0]:x2}{bytes[1]:x2}:{bytes[2]:x2}{bytes[3]:x2}";
        var text = random.Below(16) switch
        {
            0 => "::1",
            1 => "0:0:0:0:0:0:0:1",
            2 => "0000:0000:0000:0000:0000:0000:0000:0001",
            3 => $"::ffff:{dotted}",
            4 => $"::ffff:{hex}",
            5 => $"0:0:0:0:0:FFFF:{hex.ToUpperInvariant()}",
            6 => $"::{dotted}",
            7 => $"::ffff:0:{dotted}",
            8 => $"64:ff9b::{dotted}",
            9 => $"64:ff9b:1::{hex}",
            10 => $"2002:{hex}::",
            11 => $"2001:0:{hex}::",
            12 => $"fe80::5efe:{dotted}",
            13 => random.Pick((string[])["fd00:ec2::254", "fc00::1", "fe80::1", "fec0::1", "ff02::1", "100::1"]),
            14 => "2001:db8::1",
            _ => "::",
        };
        var zone = zones && random.Chance(10) ? random.Pick((string[])["%25lo", "%lo", "%251", "%1"]) : "";
        return $"[{text}{zone}]";
    }

    private string Url(string host)
    {
        var scheme = random.Below(30) switch
        {
            0 => "HTTP://",
            1 => "https://",
            2 => "http:\\\\",
            3 => "http:/",
            4 => "http:///",
            5 => "https:",
            _ => "http://",
        };
        var user = random.Below(30) switch
        {
            0 => "user:pass@",
            1 => "hooks.example@",
            2 => "hooks.example:80@",
            3 => "hooks.example%40",
            4 => "hooks.example\\@",
            5 => "@",
            _ => "",
        };
        var portText = random.Below(20) switch
        {
            0 => "",
            1 => ":" + port.ToString("D7", CultureInfo.InvariantCulture),
            2 => ":" + Map(port.ToString(CultureInfo.InvariantCulture), static digit => (char)(digit - '0' + '０')),
            3 => ":",
            _ => ":" + port.ToString(CultureInfo.InvariantCulture),
        };
        var path = random.Chance(60) ? "/hook" : random.Pick((string[])
            ["", "/", "?a=b", "#@hooks.example/", "/..;/", "/%2e%2e/", "\\hooks"]);
        return scheme + user + host + portText + path;
    }

    private static string Map(string text, Func<char, char> digits) =>
        string.Concat(text.Select(one => char.IsAsciiDigit(one) ? digits(one) : one));
}
