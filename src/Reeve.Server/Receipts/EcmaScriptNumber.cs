using System.Globalization;

namespace Reeve.Server.Receipts;

/// <summary>
/// Numbers as ECMAScript's Number::toString prints them: the shortest digits that give the same double, with an
/// exponent from 1e21 up and from 1e-7 down.
/// </summary>
internal static class EcmaScriptNumber
{
    internal const int LengthMax = 32;

    internal static int Format(double value, Span<byte> output)
    {
        if (!double.IsFinite(value))
        {
            throw new FormatException("A number is outside of what a double can hold.");
        }

        if (value == 0)
        {
            output[0] = (byte)'0'; // Also for -0.
            return 1;
        }

        // "E16" would round; the default format is the shortest that round-trips, in one of two shapes.
        Span<byte> shortest = stackalloc byte[LengthMax];
        _ = Math.Abs(value).TryFormat(shortest, out var length, "R", CultureInfo.InvariantCulture);
        Span<byte> digits = stackalloc byte[LengthMax];
        var (count, point) = Digits(shortest[..length], digits);
        var written = 0;
        if (value < 0)
        {
            output[written++] = (byte)'-';
        }

        return written + Lay(digits[..count], point, output[written..]);
    }

    /// <summary>The significant digits, and where the point stands among them (0.00123 = 123, -2).</summary>
    private static (int Count, int Point) Digits(ReadOnlySpan<byte> text, Span<byte> digits)
    {
        var exponent = 0;
        var e = text.IndexOf((byte)'E');
        if (e >= 0)
        {
            exponent = int.Parse(text[(e + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            text = text[..e];
        }

        var dot = text.IndexOf((byte)'.');
        var point = (dot < 0 ? text.Length : dot) + exponent;
        var count = 0;
        foreach (var character in text)
        {
            if (character == '.')
            {
                continue;
            }

            if (count == 0 && character == '0')
            {
                point--;
                continue;
            }

            digits[count++] = character;
        }

        while (digits[count - 1] == '0')
        {
            count--;
        }

        return (count, point);
    }

    private static int Lay(ReadOnlySpan<byte> digits, int point, Span<byte> output)
    {
        var count = digits.Length;
        if (point is > -6 and <= 21)
        {
            return point >= count ? Integer(digits, point, output)
                : point > 0 ? Split(digits, point, output) : Fraction(digits, point, output);
        }

        var written = 0;
        output[written++] = digits[0];
        if (count > 1)
        {
            output[written++] = (byte)'.';
            digits[1..].CopyTo(output[written..]);
            written += count - 1;
        }

        output[written++] = (byte)'e';
        output[written++] = (byte)(point > 0 ? '+' : '-');
        _ = Math.Abs(point - 1).TryFormat(output[written..], out var length, default, CultureInfo.InvariantCulture);
        return written + length;
    }

    private static int Integer(ReadOnlySpan<byte> digits, int point, Span<byte> output)
    {
        digits.CopyTo(output);
        output[digits.Length..point].Fill((byte)'0');
        return point;
    }

    private static int Split(ReadOnlySpan<byte> digits, int point, Span<byte> output)
    {
        digits[..point].CopyTo(output);
        output[point] = (byte)'.';
        digits[point..].CopyTo(output[(point + 1)..]);
        return digits.Length + 1;
    }

    private static int Fraction(ReadOnlySpan<byte> digits, int point, Span<byte> output)
    {
        "0."u8.CopyTo(output);
        output.Slice(2, -point).Fill((byte)'0');
        digits.CopyTo(output[(2 - point)..]);
        return 2 - point + digits.Length;
    }
}
