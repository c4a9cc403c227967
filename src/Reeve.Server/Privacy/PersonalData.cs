using System.Buffers;
using System.Net;
using System.Text.RegularExpressions;

namespace Reeve.Server.Privacy;

/// <summary>A piece of personal data in a text.</summary>
internal readonly record struct PersonalDatum(int Start, int Length, string Kind)
{
    internal int End => Start + Length;
}

/// <summary>
/// Finds personal data in a text: addresses of e-mail and of computers, numbers of phones, cards (with a valid check
/// digit, ISO/IEC 7812-1) and bank accounts (with valid check digits, ISO 13616), and what the operator's patterns say.
/// One pass from mark to mark: most text has neither a digit nor one of the marks.
/// </summary>
internal sealed class PersonalData(IReadOnlyList<(string Kind, Regex Pattern)> patterns)
{
    internal const string Email = "EMAIL";
    internal const string Phone = "PHONE";
    internal const string Card = "CARD";
    internal const string Iban = "IBAN";
    internal const string Ip = "IP";

    private const int IbanMax = 34;
    private const int IbanMin = 15;
    private const int CardMin = 13;
    private const int CardMax = 19;
    private const int PhoneMin = 7;
    private const int PhoneMax = 15;
    private const int AddressMax = 45;
    private const int LocalMax = 254;
    private const int QuoteMax = 66;

    /// <summary>What each of them has in it; the sign of a percent is for an address in an address.</summary>
    private static readonly SearchValues<char> Marks = SearchValues.Create("0123456789@:%");

    private static readonly SearchValues<char> LocalMarks = SearchValues.Create("._%+-'!#$&*/=?^`{|}~");

    private static readonly Comparer<PersonalDatum> ByPlace = Comparer<PersonalDatum>.Create(static (left, right) =>
        left.Start != right.Start ? left.Start.CompareTo(right.Start) : right.Length.CompareTo(left.Length));

    /// <summary>In the order of their places; they do not overlap.</summary>
    internal void Find(string text, List<PersonalDatum> found) => Find(text, FoldedText.Of(text), found);

    /// <summary>As the other, of a text that was folded already.</summary>
    internal void Find(string text, FoldedText folded, List<PersonalDatum> found)
    {
        var first = found.Count;
        Scan(folded, found);
        foreach (var (kind, pattern) in patterns)
        {
            foreach (var match in pattern.EnumerateMatches(text))
            {
                if (match.Length > 0)
                {
                    found.Add(new PersonalDatum(match.Index, match.Length, kind));
                }
            }
        }

        if (patterns.Count > 0)
        {
            Part(found, first);
        }
    }

    /// <summary>Sorts what begins at <paramref name="first"/> and drops what a longer one before it covers.</summary>
    internal static void Part(List<PersonalDatum> found, int first)
    {
        found.Sort(first, found.Count - first, ByPlace);
        var kept = first;
        for (var i = first; i < found.Count; i++)
        {
            var one = found[i];
            if (kept > first && one.Start < found[kept - 1].End)
            {
                if (one.End <= found[kept - 1].End)
                {
                    continue;
                }

                // Two that overlap are one: to cut either in two would leave half of it readable.
                var before = found[kept - 1];
                found[kept - 1] = before with { Length = one.End - before.Start };
                continue;
            }

            found[kept++] = one;
        }

        found.RemoveRange(kept, found.Count - kept);
    }

    private static void Scan(FoldedText folded, List<PersonalDatum> found)
    {
        var text = folded.Text.Span;
        var at = 0;
        var free = 0; // Nothing before it is looked at again.
        while (at < text.Length && text[at..].IndexOfAny(Marks) is >= 0 and var next)
        {
            at += next;
            var datum = text[at] switch
            {
                '@' => FindEmail(text, at, 1, free),
                '%' => text[at..].StartsWith("%40") ? FindEmail(text, at, 3, free) : null,
                ':' => FindIpV6(text, at, free),
                _ => FindNumber(text, at, free),
            };
            if (datum is { } one)
            {
                found.Add(folded.InOriginal(one));
                at = free = one.End;
                continue;
            }

            // A run of digits that is nothing is nothing from its second digit on, too.
            at++;
            while (at < text.Length && char.IsAsciiDigit(text[at - 1]) && char.IsAsciiDigit(text[at]))
            {
                at++;
            }
        }
    }

    private static PersonalDatum? FindEmail(ReadOnlySpan<char> text, int at, int width, int free)
    {
        var start = at;
        while (start > free && at - start < LocalMax && IsLocal(text[start - 1]))
        {
            start--;
        }

        if (start == at && at > free && text[at - 1] == '"')
        {
            start = QuoteStart(text, at, free);
        }

        while (start < at && text[start] is '.' or '-' or '\'')
        {
            start++;
        }

        var domain = at + width;
        var end = domain;
        var (dot, letters) = (-1, false);
        while (end < text.Length && (char.IsLetterOrDigit(text[end]) || text[end] is '-' or '.' or '_'))
        {
            if (text[end] == '.')
            {
                if (text[end - 1] == '.' || end + 1 == text.Length || !char.IsLetterOrDigit(text[end + 1]))
                {
                    break;
                }

                (dot, letters) = (end, false);
            }
            else
            {
                letters |= char.IsLetter(text[end]);
            }

            end++;
        }

        return start < at && dot > domain && letters && end - dot > 2
            ? new PersonalDatum(start, end - start, Email)
            : null;
    }

    private static bool IsLocal(char character) => char.IsLetterOrDigit(character) || LocalMarks.Contains(character);

    /// <summary>Where a name in quotes begins that ends before this place; the place itself for none.</summary>
    private static int QuoteStart(ReadOnlySpan<char> text, int at, int free)
    {
        var from = Math.Max(free, at - QuoteMax);
        var quoted = text[from..(at - 1)];
        return quoted.LastIndexOfAny('"', '\n') is >= 0 and var start && quoted[start] == '"' ? from + start : at;
    }

    private static PersonalDatum? FindIpV6(ReadOnlySpan<char> text, int at, int free)
    {
        var start = at;
        while (start > free && at - start < AddressMax
            && (char.IsAsciiHexDigit(text[start - 1]) || text[start - 1] == ':'))
        {
            start--;
        }

        var end = at;
        while (end < text.Length && end - start <= AddressMax
            && (char.IsAsciiHexDigit(text[end]) || text[end] is ':' or '.'))
        {
            end++;
        }

        while (end > at && text[end - 1] == '.')
        {
            end--;
        }

        // A sentence may go on with a colon after the address.
        if (end - start > 2 && text[end - 1] == ':' && text[end - 2] != ':')
        {
            end--;
        }

        var address = text[start..end];
        return address.Count(':') >= 2 && address.ContainsAnyInRange('0', '9') // Names of code have colons too.
            && !IsWordAt(text, start - 1) && !IsWordAt(text, end)
            && IPAddress.TryParse(address, out _)
            ? new PersonalDatum(start, end - start, Ip)
            : null;
    }

    private static PersonalDatum? FindNumber(ReadOnlySpan<char> text, int at, int free) =>
        FindIban(text, at, free) ?? FindIpV6(text, at, free) ?? FindDigits(text, at, free);

    private static PersonalDatum? FindIban(ReadOnlySpan<char> text, int at, int free)
    {
        var start = at - 2;
        if (start < free || !char.IsAsciiLetter(text[start]) || !char.IsAsciiLetter(text[start + 1])
            || IsWordAt(text, start - 1) || at + 1 >= text.Length || !char.IsAsciiDigit(text[at + 1]))
        {
            return null;
        }

        // The longest that checks out: words that follow may look like one more group.
        Span<char> account = stackalloc char[IbanMax];
        var (count, end, best) = (0, start, -1);
        while (end < text.Length && count < IbanMax)
        {
            if (char.IsAsciiLetterOrDigit(text[end]))
            {
                account[count++] = char.ToUpperInvariant(text[end++]);
                if (count >= IbanMin && !IsWordAt(text, end) && HasIbanChecksum(account[..count]))
                {
                    best = end;
                }
            }
            else if (text[end] is ' ' or '-' && end + 1 < text.Length
                && char.IsAsciiLetterOrDigit(text[end + 1]))
            {
                end++;
            }
            else
            {
                break;
            }
        }

        return best < 0 ? null : new PersonalDatum(start, best - start, Iban);
    }

    private static bool HasIbanChecksum(ReadOnlySpan<char> account)
    {
        var rest = 0;
        for (var i = 0; i < account.Length; i++)
        {
            var character = account[(i + 4) % account.Length];
            rest = char.IsAsciiDigit(character)
                ? ((rest * 10) + character - '0') % 97
                : ((rest * 100) + character - 'A' + 10) % 97;
        }

        return rest == 1;
    }

    /// <summary>An address of four numbers, a card or a phone, beginning at or shortly before this digit.</summary>
    private static PersonalDatum? FindDigits(ReadOnlySpan<char> text, int at, int free)
    {
        if (IsWordAt(text, at - 1))
        {
            return null;
        }

        var start = at;
        while (start > free && text[start - 1] is '+' or '(')
        {
            start--;
        }

        var number = DigitGroups.Read(text, at);
        if (number.IpV4End(text) is { } addressEnd)
        {
            return new PersonalDatum(at, addressEnd - at, Ip);
        }

        if (number.CardEnd(text, CardMin, CardMax) is { } cardEnd)
        {
            return new PersonalDatum(at, WithInner(text, number, cardEnd) - at, Card);
        }

        var isInternational = start < at && text[start..at].Contains('+');
        return number.PhoneEnd(text, isInternational, start < at, PhoneMin, PhoneMax) is { } phoneEnd
            ? new PersonalDatum(start, WithInner(text, number, phoneEnd) - start, Phone)
            : null;
    }

    /// <summary>
    /// Numbers that follow one another look like one: where another begins in this one and goes on after it, both are
    /// one, for otherwise the rest of it would stay.
    /// </summary>
    private static int WithInner(ReadOnlySpan<char> text, DigitGroups number, int end)
    {
        for (var i = 1; i < number.Count && number.Start(i) < end; i++)
        {
            var inner = DigitGroups.Read(text, number.Start(i));
            end = Math.Max(end, inner.IpV4End(text) ?? inner.CardEnd(text, CardMin, CardMax) ?? end);
        }

        return end;
    }

    private static bool IsWordAt(ReadOnlySpan<char> text, int at) =>
        at >= 0 && at < text.Length && FoldedText.IsWord(text[at]);
}
