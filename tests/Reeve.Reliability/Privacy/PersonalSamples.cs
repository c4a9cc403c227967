using System.Globalization;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability.Privacy;

/// <summary>Personal data as people write it, each sample another one.</summary>
internal static class PersonalSamples
{
    private static readonly string[] Separators = [" ", "-", "\u00A0", "\u200B", "\u2011", "\u202F", ""];
    private static readonly string[] Accounts = ["DE", "NO", "GB", "FR"];

    internal static string Email(SimRandom random, string unique)
    {
        var at = random.Pick(["@", "@", "@", "\uFF20", "%40", "\u200B@"]);
        return random.Below(5) switch
        {
            0 => $"{unique}.o'neil+x{at}mail-{unique}.example",
            1 => $"ünal-{unique}{at}bücher.example",
            2 => $"\"{unique} lee\"@x.io",
            _ => $"{unique}{at}{unique}.co.uk",
        };
    }

    internal static string Phone(SimRandom random)
    {
        var digits = Digits(random, 8);
        return random.Below(4) switch
        {
            0 => $"+47 {digits[..2]} {digits[2..4]} {digits[4..6]} {digits[6..]}",
            1 => $"(5{digits[..2]}) {digits[2..5]}-{digits[4..]}",
            2 => $"+1{digits}{digits[..2]}",
            _ => Foreign($"+47 {digits[..4]} {digits[4..]}"),
        };
    }

    /// <summary>Sixteen digits of which the last is the check digit.</summary>
    internal static string Card(SimRandom random)
    {
        var digits = "4" + Digits(random, 14);
        var sum = 0;
        for (var i = 0; i < digits.Length; i++)
        {
            var digit = digits[i] - '0';
            sum += i % 2 == 1 ? digit : digit > 4 ? (digit * 2) - 9 : digit * 2;
        }

        digits += (char)('0' + ((10 - (sum % 10)) % 10));
        var card = string.Join(random.Pick(Separators), digits.Chunk(4).Select(static four => new string(four)));
        return random.Chance(20) ? Foreign(card) : card;
    }

    internal static string Account(SimRandom random)
    {
        var (country, digits) = (random.Pick(Accounts), Digits(random, 14));
        var number = digits + string.Concat((country + "00").Select(static one => char.IsAsciiDigit(one)
            ? $"{one}" : (one - 'A' + 10).ToString(CultureInfo.InvariantCulture)));
        var rest = number.Aggregate(0, static (sum, digit) => ((sum * 10) + digit - '0') % 97);
        var account = string.Create(CultureInfo.InvariantCulture, $"{country}{98 - rest:00}{digits}");
        return string.Join(random.Pick([" ", "-", ""]), account.Chunk(4).Select(static four => new string(four)));
    }

    internal static string Address(SimRandom random) => random.Chance(50)
        ? string.Create(CultureInfo.InvariantCulture,
            $"10.{random.Below(256)}.{100 + random.Below(100)}.{100 + random.Below(100)}")
        : string.Create(CultureInfo.InvariantCulture,
            $"2001:db8::{1 + random.Below(9)}{random.Below(0xFFF):x3}:{0x1000 + random.Below(0xEFFF):x4}");

    private static string Digits(SimRandom random, int count) =>
        string.Concat(Enumerable.Range(0, count).Select(_ => (char)('1' + random.Below(9))));

    /// <summary>The same number in digits of full width.</summary>
    private static string Foreign(string number) => string.Concat(number.Select(static one =>
        char.IsAsciiDigit(one) ? (char)(one - '0' + '\uFF10') : one));
}
