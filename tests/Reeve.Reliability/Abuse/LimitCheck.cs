using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Abuse;

/// <summary>Sends each case, and asks after it on the same connection where that lives on.</summary>
internal static class LimitCheck
{
    private const string Last = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    /// <summary>More than the 5 s that the server reads on behind an answer, for a body that it did not want.</summary>
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(10);

    private static readonly string[] Members = ["code", "message", "type", "param", "request_id"];

    internal static Task RunAsync(
        Uri url, IReadOnlyList<LimitCase> cases, ConcurrentQueue<string> problems, TimeSpan? timeMax = null) =>
        Crowd.EachAsync(cases, 16, async one =>
        {
            if (await ComplainAsync(url, one, timeMax ?? AnswerMax) is { } complaint)
            {
                problems.Enqueue($"{one.Name}: {complaint}");
            }
        });

    private static async Task<string?> ComplainAsync(Uri url, LimitCase one, TimeSpan timeMax)
    {
        RawExchange exchange;
        try
        {
            exchange = await RawExchange.SendAsync(url, one.Bytes, timeMax,
                one.Rest is null ? one.Statuses.Length : 1, one.Rest + Last);
        }
        catch (IOException error)
        {
            return error.Message;
        }

        var answers = exchange.Answers.Take(one.Statuses.Length).ToList();
        if (!answers.Select(static answer => answer.Status).SequenceEqual(one.Statuses))
        {
            return $"expected {string.Join(", ", one.Statuses)}, got {exchange.Shown}";
        }

        return !exchange.IsClosed
            ? string.Create(
                CultureInfo.InvariantCulture, $"open after {exchange.Time.TotalSeconds:F1} s: {exchange.Shown}")
            : one.Code is { } code && !IsDocumented(answers[^1], code)
            ? $"this is not the documented body of {code}: {answers[^1].Head}{answers[^1].Text}"
            : null;
    }

    private static bool IsDocumented(RawAnswer answer, string code)
    {
        try
        {
            var error = JsonElement.Parse(answer.Body).GetProperty("error");
            return error.EnumerateObject().Select(static member => member.Name).SequenceEqual(Members)
                && error.GetProperty("code").GetString() == code
                && error.GetProperty("request_id").GetString() == answer.Header("x-request-id");
        }
        catch (Exception wrong) when (wrong is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return false;
        }
    }
}
