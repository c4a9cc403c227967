using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability.Fuzz.Tamper;

/// <summary>
/// Changes receipts, byte by byte and with a mind for what their readers do with JSON. Whether a change is one by
/// RFC 8785 is decided here from the values, without the code that is tried.
/// </summary>
internal static partial class ReceiptTampers
{
    private static readonly string[] Extra =
        ["\"alg\":\"none\"", "\"alg\":\"HS256\"", "\"kty\":\"OKP\"", "\"valid\":true", "\"known\":true", "\"\":0"];

    internal static byte[] Tamper(SimRandom random, byte[] receipt, IReadOnlyList<byte[]> all)
    {
        var text = Encoding.UTF8.GetString(receipt);
        return random.Below(16) switch
        {
            0 or 1 => Flip(random, receipt),
            2 => Byte(random, receipt, (byte)random.Next()),
            3 => [.. receipt.AsSpan(0, random.Below(receipt.Length))],
            4 => Cut(random, receipt),
            5 => Encoding.UTF8.GetBytes($"{text[..^1]},{random.Pick(Extra)}}}"),
            6 => Double(random, text),
            7 => Edit(random, text, other: JsonNode.Parse(random.Pick(all))!.AsObject()),
            8 => Number(random, text),
            9 => Escape(random, text),
            10 => Encoding.UTF8.GetBytes(SignatureText().Replace(text, one => Signature(random, one.Value))),
            11 => Drop(random, text),
            12 => Order(random, text),
            13 => Spaces(random, text),
            14 => Encoding.UTF8.GetBytes(random.Pick(["[" + text + "]", text + text, text + "\n{}", "\uFEFF" + text,
                $"{{\"receipt\":{text}}}", text.ToUpperInvariant()])),
            _ => [.. Flip(random, Number(random, text))],
        };
    }

    /// <summary>
    /// True when both say the same: the same members with the same strings, and numbers that are the same double.
    /// </summary>
    internal static bool SayTheSame(ReadOnlyMemory<byte> left, ReadOnlyMemory<byte> right)
    {
        try
        {
            using var one = JsonDocument.Parse(WithoutMark(left));
            using var other = JsonDocument.Parse(WithoutMark(right));
            return Same(one.RootElement, other.RootElement);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private static ReadOnlyMemory<byte> WithoutMark(ReadOnlyMemory<byte> text) =>
        text.Span.StartsWith("\uFEFF"u8) ? text[3..] : text;

    private static bool Same(JsonElement left, JsonElement right)
    {
        if (left.ValueKind != right.ValueKind)
        {
            return false;
        }

        switch (left.ValueKind)
        {
            case JsonValueKind.Object:
                var members = left.EnumerateObject().ToList();
                var others = right.EnumerateObject().ToList();
                return members.Count == others.Count
                    && members.DistinctBy(static one => one.Name).Count() == members.Count
                    && members.TrueForAll(one => others.Exists(other =>
                        other.Name == one.Name && Same(one.Value, other.Value)));
            case JsonValueKind.Array:
                return left.GetArrayLength() == right.GetArrayLength()
                    && left.EnumerateArray().Zip(right.EnumerateArray()).All(static one => Same(one.First, one.Second));
            case JsonValueKind.String:
                return string.Equals(left.GetString(), right.GetString(), StringComparison.Ordinal);
            case JsonValueKind.Number:
                return double.Parse(left.GetRawText(), CultureInfo.InvariantCulture)
                    .Equals(double.Parse(right.GetRawText(), CultureInfo.InvariantCulture));
            default:
                return true;
        }
    }

    private static byte[] Flip(SimRandom random, byte[] bytes)
    {
        var at = random.Below(bytes.Length);
        return Replace(bytes, at, (byte)(bytes[at] ^ (1 << random.Below(8))));
    }

    private static byte[] Byte(SimRandom random, byte[] bytes, byte value) =>
        Replace(bytes, random.Below(bytes.Length), value);

    private static byte[] Replace(byte[] bytes, int at, byte value)
    {
        byte[] changed = [.. bytes];
        changed[at] = value;
        return changed;
    }

    private static byte[] Cut(SimRandom random, byte[] bytes)
    {
        var at = random.Below(bytes.Length);
        var length = Math.Min(1 + random.Below(8), bytes.Length - at);
        return [.. bytes.AsSpan(0, at), .. bytes.AsSpan(at + length)];
    }

    /// <summary>A member twice, the false one first or last, spelled alike or with an escape.</summary>
    private static byte[] Double(SimRandom random, string text)
    {
        var members = JsonNode.Parse(text)!.AsObject().Select(static one => one.Key).ToList();
        var name = random.Pick(members);
        var spelled = random.Chance(50) ? name : $"\\u{(int)name[0]:x4}{name[1..]}";
        var value = random.Pick(["0", "null", "\"x\"", "{}", "1e2"]);
        return Encoding.UTF8.GetBytes(random.Chance(50)
            ? $"{{\"{spelled}\":{value},{text[1..]}"
            : $"{text[..^1]},\"{spelled}\":{value}}}");
    }

    /// <summary>A value of another receipt, or one that is near.</summary>
    private static byte[] Edit(SimRandom random, string text, JsonObject other)
    {
        var receipt = JsonNode.Parse(text)!.AsObject();
        var name = random.Pick(receipt.Select(static one => one.Key).ToList());
        receipt[name] = random.Below(4) switch
        {
            0 => other[name]?.DeepClone(),
            1 => null,
            2 => receipt[name]?.ToString().ToUpperInvariant(),
            _ => receipt[name]?.ToString() + random.Pick([" ", "\0", "A", "\u200b", "="]),
        };
        return Encoding.UTF8.GetBytes(receipt.ToJsonString());
    }

    private static byte[] Number(SimRandom random, string text)
    {
        var numbers = NumberText().Matches(text);
        if (numbers.Count == 0)
        {
            return Encoding.UTF8.GetBytes(text);
        }

        var one = random.Pick(numbers.ToList());
        var number = one.Groups[1].Value;
        var spelled = random.Below(10) switch
        {
            0 => number + "e0",
            1 => number.Contains('.', StringComparison.Ordinal) ? number + "0" : number + ".0",
            2 => "-" + number,
            3 => number + "1",
            4 => $"{double.Parse(number, CultureInfo.InvariantCulture) / 10}e1",
            5 => Math.BitIncrement(double.Parse(number, CultureInfo.InvariantCulture))
                .ToString("R", CultureInfo.InvariantCulture),
            6 => $"\"{number}\"",
            7 => "0" + number,
            8 => number + "00000000000000000001",
            _ => "+" + number,
        };
        return Encoding.UTF8.GetBytes($"{text[..one.Groups[1].Index]}{spelled}{text[(one.Index + one.Length)..]}");
    }

    /// <summary>A character written as an escape, or in a form that only looks the same.</summary>
    private static byte[] Escape(SimRandom random, string text)
    {
        var at = random.Pick(text.Index().Where(static one => char.IsAsciiLetter(one.Item))
            .Select(static one => one.Index).ToList());
        var code = (int)text[at];
        var written = random.Below(5) switch
        {
            0 => $"\\u{code:x4}",
            1 => $"\\u{code:X4}",
            2 => $"\\u{code + 0xFEE0:x4}", // The same letter in full width.
            3 => $"\\x{code:x2}",
            _ => $"{text[at]}\\u0301",
        };
        return Encoding.UTF8.GetBytes(text[..at] + written + text[(at + 1)..]);
    }

    /// <summary>Other texts that a lax decoder takes for the same signature, and some that it does not.</summary>
    private static string Signature(SimRandom random, string text)
    {
        const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        var last = Alphabet.IndexOf(text[^1], StringComparison.Ordinal);
        return random.Below(8) switch
        {
            0 => text[..^1] + Alphabet[last ^ (1 + random.Below(15))], // The bits that no byte takes.
            1 => text + "==",
            2 => text.Replace('-', '+').Replace('_', '/') + (text.Contains('-', StringComparison.Ordinal) ? "" : " "),
            3 => $"{text[..40]} {text[40..]}",
            4 => $"{text[..40]}\\n{text[40..]}",
            5 => new string('A', text.Length),
            6 => text[43..] + text[..43],
            _ => text[..random.Below(text.Length)],
        };
    }

    private static byte[] Drop(SimRandom random, string text)
    {
        var receipt = JsonNode.Parse(text)!.AsObject();
        receipt.Remove(random.Pick(receipt.Select(static one => one.Key).ToList()));
        return Encoding.UTF8.GetBytes(receipt.ToJsonString());
    }

    /// <summary>The members in another order, which says the same.</summary>
    private static byte[] Order(SimRandom random, string text)
    {
        var receipt = JsonNode.Parse(text)!.AsObject();
        return Encoding.UTF8.GetBytes(new JsonObject(receipt.OrderBy(_ => random.Next())
            .Select(static one => KeyValuePair.Create(one.Key, one.Value?.DeepClone()))).ToJsonString());
    }

    private static byte[] Spaces(SimRandom random, string text)
    {
        var at = random.Below(text.Length);
        return Encoding.UTF8.GetBytes(text[..at] + random.Pick([" ", "\n", "\t", "\r", "\u00a0", "\v"]) + text[at..]);
    }

    [GeneratedRegex("(?<=\"signature\":\")[A-Za-z0-9_-]{86}(?=\")")]
    private static partial Regex SignatureText();

    [GeneratedRegex("(?<=\":)([0-9][0-9.]*)")]
    private static partial Regex NumberText();
}
