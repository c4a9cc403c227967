namespace Reeve.Server.Privacy;

/// <summary>
/// Digits that stand together, in groups parted by one or two of the characters that people part numbers with.
/// </summary>
internal readonly ref struct DigitGroups
{
    private const int GroupsMax = 12;
    private const int DigitsMax = 24;

    private readonly Groups _groups;

    private DigitGroups(Groups groups, int count, int digits, int end)
    {
        (_groups, Count, Digits, End) = (groups, count, digits, end);
    }

    internal int Count { get; }

    internal int Digits { get; }

    internal int End { get; }

    /// <summary>Where a group begins.</summary>
    internal int Start(int group) => _groups[group].Start;

    internal static DigitGroups Read(ReadOnlySpan<char> text, int start)
    {
        var groups = default(Groups);
        var (count, digits, at, end) = (0, 0, start, start);
        while (count < GroupsMax && at < text.Length && char.IsAsciiDigit(text[at]))
        {
            var begin = at;
            while (at < text.Length && char.IsAsciiDigit(text[at]))
            {
                at++;
            }

            if (digits + at - begin > DigitsMax)
            {
                break;
            }

            groups[count++] = (begin, at);
            digits += at - begin;
            end = at;
            for (var parts = 0; parts < 2 && at < text.Length && IsSeparator(text[at]); parts++)
            {
                at++;
            }
        }

        // Glued to a word it is a name of something and no number.
        return end < text.Length && !char.IsAsciiDigit(text[end]) && FoldedText.IsWord(text[end])
            ? new DigitGroups(groups, count - 1, digits, count > 1 ? groups[count - 2].End : start)
            : new DigitGroups(groups, count, digits, end);
    }

    /// <summary>Where an address of four numbers ends that begins here; null for none.</summary>
    internal int? IpV4End(ReadOnlySpan<char> text)
    {
        if (Count < 4 || (Count > 4 && text[_groups[3].End] == '.' && _groups[4].Start == _groups[3].End + 1))
        {
            return null;
        }

        for (var i = 0; i < 4; i++)
        {
            var (start, end) = _groups[i];
            if (end - start > 3 || int.Parse(text[start..end], System.Globalization.CultureInfo.InvariantCulture) > 255
                || (i < 3 && (_groups[i + 1].Start != end + 1 || text[end] != '.')))
            {
                return null;
            }
        }

        return _groups[3].End;
    }

    /// <summary>Where a card number ends that begins here; null for none.</summary>
    internal int? CardEnd(ReadOnlySpan<char> text, int min, int max)
    {
        Span<char> digits = stackalloc char[DigitsMax];
        var length = 0;
        int? best = null;
        for (var i = 0; i < Count && length <= max; i++)
        {
            var (start, end) = _groups[i];
            if (i > 0 && (start != _groups[i - 1].End + 1 || text[start - 1] is not (' ' or '-')))
            {
                break;
            }

            text[start..end].CopyTo(digits[length..]);
            length += end - start;
            if (length >= min && length <= max && HasCheckDigit(digits[..length]))
            {
                best = end;
            }
        }

        return best;
    }

    /// <summary>Where a phone number ends that begins here; null for none. A date is none, nor a plain count.</summary>
    internal int? PhoneEnd(ReadOnlySpan<char> text, bool isInternational, bool isMarked, int min, int max)
    {
        var (count, digits) = (Count, 0);
        for (var i = 0; i < Count; i++)
        {
            if (digits + Length(i) > max)
            {
                count = i; // What follows is another number.
                break;
            }

            digits += Length(i);
        }

        if (count == 0 || digits < min || IsDate(text))
        {
            return null;
        }

        var isDecimal = count == 2 && text[_groups[0].End] == '.' && Length(0) == 1;
        var startsWithZero = text[_groups[0].Start] == '0' && !isDecimal;
        if (isInternational || (isMarked && count > 1) || startsWithZero)
        {
            return _groups[count - 1].End;
        }

        // Without a sign of it: three or more groups of two to four digits, as people write numbers to be called.
        if (count < 3 || count < Count || digits < 8)
        {
            return null;
        }

        for (var i = 0; i < count; i++)
        {
            if (Length(i) is < 2 or > 4)
            {
                return null;
            }
        }

        return _groups[count - 1].End;
    }

    private int Length(int group) => _groups[group].End - _groups[group].Start;

    /// <summary>Year, month and day in one of the usual orders, perhaps with a time after them.</summary>
    private bool IsDate(ReadOnlySpan<char> text)
    {
        if (Count < 3 || text[_groups[0].End] is not ('-' or '.' or '/')
            || text[_groups[1].End] != text[_groups[0].End])
        {
            return false;
        }

        var (first, second, third) = (Value(text, 0), Value(text, 1), Value(text, 2));
        return (Length(0) == 4 && first is >= 1000 and <= 2999 && second is >= 1 and <= 12 && third is >= 1 and <= 31
                && Length(1) <= 2 && Length(2) <= 2)
            || (Length(2) == 4 && third is >= 1000 and <= 2999 && Length(0) <= 2 && Length(1) <= 2
                && first is >= 1 and <= 31 && second is >= 1 and <= 31 && Math.Min(first, second) <= 12);
    }

    private int Value(ReadOnlySpan<char> text, int group)
    {
        var (start, end) = _groups[group];
        return end - start > 4 ? int.MaxValue
            : int.Parse(text[start..end], System.Globalization.CultureInfo.InvariantCulture);
    }

    private static bool HasCheckDigit(ReadOnlySpan<char> digits)
    {
        var sum = 0;
        for (var i = 0; i < digits.Length; i++)
        {
            var digit = digits[^(i + 1)] - '0';
            sum += i % 2 == 0 ? digit : digit > 4 ? (digit * 2) - 9 : digit * 2;
        }

        return sum % 10 == 0;
    }

    private static bool IsSeparator(char character) =>
        character is ' ' or '-' or '.' or '/' or '(' or ')';

    [System.Runtime.CompilerServices.InlineArray(GroupsMax)]
    private struct Groups
    {
        private (int Start, int End) _first;
    }
}
