using System.Collections.Concurrent;
using System.Text;
using System.Text.RegularExpressions;
using Reeve.Server.Privacy;

namespace Reeve.Reliability.Privacy;

/// <summary>
/// Looks at the bytes that reached a socket. What was said is known by its marks; it must be allowed there, and where
/// it must be masked none of the personal data that belongs to it may be there in any spelling.
/// </summary>
internal sealed partial class PrivacyJudge
{
    private const int ProblemsMax = 100;
    private const int DigitsMin = 8;

    private readonly ConcurrentDictionary<string, PrivateTurn> _turns = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _problems = new();
    private readonly long[] _requests = new long[4];
    private long _bytes;
    private long _masked;

    internal IReadOnlyCollection<string> Problems => _problems;

    internal long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Requests that had to be masked and were looked through for personal data.</summary>
    internal long Masked => Interlocked.Read(ref _masked);

    internal void Expect(PrivateTurn turn) => _turns[turn.Mark] = turn;

    /// <summary>Requests whose strictest content is of this class.</summary>
    internal long Requests(PrivacyClass privacyClass) => Interlocked.Read(ref _requests[(int)privacyClass]);

    internal void Complain(string problem)
    {
        if (_problems.Count < ProblemsMax)
        {
            _problems.Enqueue(problem);
        }
    }

    /// <summary>
    /// Looks at what <paramref name="place"/> was sent. <paramref name="isOwners"/>: the caller gets his own words
    /// there, which are not masked.
    /// </summary>
    internal void Look(string place, ReadOnlySpan<byte> bytes, PrivacyMarks marks, bool isOwners = false)
    {
        Interlocked.Add(ref _bytes, bytes.Length);
        var raw = Encoding.UTF8.GetString(bytes);
        var text = Unescape(raw);
        var turns = Marks().Matches(text).Select(static match => match.Value).Distinct(StringComparer.Ordinal)
            .Select(mark => _turns.GetValueOrDefault(mark)).ToList();
        if (turns.Contains(null))
        {
            Complain($"{place} was sent a mark that nobody said: {raw}");
            return;
        }

        var strictest = turns.Select(static turn => turn!.Class).DefaultIfEmpty(PrivacyClass.Standard).Max();
        Interlocked.Increment(ref _requests[(int)strictest]);
        if (!PrivacyGate.Permits(strictest, marks))
        {
            Complain($"{place} was sent what is {strictest.Word()}: {raw}");
        }

        if (isOwners || !PrivacyGate.MustMask(strictest, marks))
        {
            return;
        }

        Interlocked.Increment(ref _masked);
        var digits = Digits(text);
        foreach (var datum in turns.SelectMany(static turn => turn!.Data).Distinct(StringComparer.Ordinal))
        {
            if (text.Contains(datum, StringComparison.OrdinalIgnoreCase)
                || (Digits(datum) is { Length: >= DigitsMin } number
                    && digits.Contains(number, StringComparison.Ordinal)))
            {
                Complain($"{place} was sent {datum}, which is {strictest.Word()}: {raw}");
            }
        }
    }

    /// <summary>JSON in JSON, too: arguments of tools are text.</summary>
    private static string Unescape(string text)
    {
        for (var i = 0; i < 2; i++)
        {
            text = Escapes().Replace(text, static match => match.Value[1] switch
            {
                'u' => $"{(char)Convert.ToInt32(match.Value[2..], 16)}",
                'n' => "\n",
                't' => "\t",
                'r' => "\r",
                _ => match.Value[1..],
            });
        }

        return text;
    }

    private static string Digits(string text)
    {
        var digits = new StringBuilder();
        foreach (var one in text)
        {
            if (char.IsDigit(one))
            {
                digits.Append((int)char.GetNumericValue(one));
            }
            else if (one is not (' ' or '-' or '(' or ')') && char.IsAscii(one))
            {
                digits.Append('|');
            }
        }

        return digits.ToString();
    }

    [GeneratedRegex("\\\\(u[0-9a-fA-F]{4}|[^u])")]
    private static partial Regex Escapes();

    [GeneratedRegex("mk[0-9]+t[0-9]+z")]
    private static partial Regex Marks();
}
