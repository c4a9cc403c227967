using System.Collections.Concurrent;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// Sends each case and counts the answers: as many as requests that the sender framed plainly, or one refusal and the
/// end of the connection. What hides in a request is never answered.
/// </summary>
internal static class FramingCheck
{
    private const string LastMark = "\"live\"";

    /// <summary>A server that waits for more of a body gives up before that.</summary>
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(12);

    private const string Last = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    /// <summary>Every case with each opening; answers how many there were.</summary>
    internal static async Task<int> RunAsync(
        Uri url, IEnumerable<FramingCase> cases, ConcurrentQueue<string> problems, TimeSpan? timeMax = null)
    {
        var pairs = cases.SelectMany(static one => FramingOpening.All.Take(one.IsWhole ? 1 : int.MaxValue)
            .Select(opening => (Case: one, Opening: opening))).ToList();
        await Crowd.EachAsync(pairs, 8, async pair =>
        {
            if (await ComplainAsync(url, pair.Case, pair.Opening, timeMax ?? AnswerMax) is { } complaint)
            {
                problems.Enqueue($"{pair.Case.Name} ({pair.Opening.Name}): {complaint}");
            }
        });
        return pairs.Count;
    }

    private static async Task<string?> ComplainAsync(
        Uri url, FramingCase one, FramingOpening opening, TimeSpan timeMax)
    {
        var expected = one.Expected;
        var kept = expected switch
        {
            Framing.One => 1,
            Framing.Two or Framing.TwoOrRefused => 2,
            _ => int.MaxValue,
        };
        RawExchange exchange;
        try
        {
            exchange = await RawExchange.SendAsync(url, one.Bytes(opening), timeMax, kept, Last);
        }
        catch (IOException error)
        {
            return error.Message;
        }

        var answers = exchange.Answers;
        var hidden = answers.Count(static answer =>
            answer.Text.Contains(FramingCase.HiddenMark, StringComparison.Ordinal));
        if (answers.Any(static answer => answer.Status >= 500 && !IsVersionRefusal(answer)))
        {
            return $"a fault of the server: {exchange.Shown}";
        }

        var isRight = exchange.IsClosed && (IsRefused(answers, expected) || expected switch
        {
            Framing.Cut => answers.Count == 1 && hidden == 0,
            Framing.One => answers.Count == 2 && hidden == 0 && IsLast(answers[1]),
            Framing.Two or Framing.TwoOrRefused => answers.Count == 3 && hidden == 1
                && answers[1].Text.Contains(FramingCase.HiddenMark, StringComparison.Ordinal) && IsLast(answers[2]),
            _ => false,
        });
        return isRight ? null : $"expected {expected}, got {exchange.Shown}";
    }

    private static bool IsRefused(IReadOnlyList<RawAnswer> answers, Framing expected) =>
        expected is Framing.Refused or Framing.TwoOrRefused && answers.Count == 1
        && (answers[0].Status is 400 or 405 or 411 or 414 or 417 or 431 || IsVersionRefusal(answers[0]));

    private static bool IsVersionRefusal(RawAnswer answer) => answer.Status == 505;

    private static bool IsLast(RawAnswer answer) =>
        answer.Status == 200 && answer.Text.Contains(LastMark, StringComparison.Ordinal);
}
