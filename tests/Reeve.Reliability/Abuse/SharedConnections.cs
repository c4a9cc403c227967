using System.Collections.Concurrent;
using System.Net.Sockets;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// Sends the framing cases through a proxy that shares its connections to the server among all callers. Innocent
/// callers ask for different things meanwhile; each must get its own answer, never one to what hid in a case.
/// </summary>
internal static class SharedConnections
{
    private static readonly TimeSpan CaseMax = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(20);

    private static readonly (byte[] Request, string Mark)[] Innocent =
    [
        (RawConnection.Request("GET", "/health/live", null), "{\"status\":\"live\"}"),
        (RawConnection.Request("GET", "/health/ready", null), "{\"status\":\"ready\"}"),
        (RawConnection.Request("GET", "/v1/agents?limit=1", null), "\"has_more\":"),
        (RawConnection.Request("GET", "/v1/runs/run_0", null), "No such run exists"),
    ];

    /// <summary>Each case with the first <paramref name="openings"/>; answers how many answers innocents got.</summary>
    internal static async Task<int> RunAsync(
        Uri proxy, IReadOnlyList<FramingCase> cases, int openings, ConcurrentQueue<string> problems)
    {
        var pairs = cases.SelectMany(one => FramingOpening.All.Take(one.IsWhole ? 1 : openings)
            .Select(opening => (Case: one, Opening: opening))).ToList();
        using var stop = new CancellationTokenSource();
        var innocents = Enumerable.Range(0, Innocent.Length)
            .Select(index => Task.Run(() => AskAsync(proxy, index, problems, stop.Token))).ToList();
        await Crowd.EachAsync(pairs, 32, async pair =>
        {
            try
            {
                var exchange = await RawExchange.SendAsync(proxy, pair.Case.Bytes(pair.Opening), CaseMax);
                if (exchange.Answers.Any(static answer => answer.Status >= 500 && answer.Status is not (501 or 505)))
                {
                    problems.Enqueue($"{pair.Case.Name} ({pair.Opening.Name}) through a proxy: {exchange.Shown}");
                }
            }
            catch (IOException)
            {
                // The proxy answers what is no HTTP/1.1 in other ways.
            }
        });
        await stop.CancelAsync();
        return (await Task.WhenAll(innocents)).Sum();
    }

    private static async Task<int> AskAsync(
        Uri proxy, int index, ConcurrentQueue<string> problems, CancellationToken stop)
    {
        var (request, mark) = Innocent[index];
        var answers = 0;
        do
        {
            try
            {
                using var deadline = new CancellationTokenSource(AnswerMax);
                using var connection = await RawConnection.OpenAsync(proxy, deadline.Token);
                for (var i = 0; i < 10; i++)
                {
                    await Crowd.BreatheAsync();
                    var answer = await connection.SendAsync(request, deadline.Token);
                    answers++;
                    if (!answer.Text.Contains(mark, StringComparison.Ordinal))
                    {
                        problems.Enqueue($"an innocent caller wanted {mark} and got {answer.Head}{answer.Text}");
                    }
                }
            }
            catch (Exception error) when (error is IOException or SocketException or OperationCanceledException)
            {
                problems.Enqueue($"an innocent caller got no answer: {error.GetType().Name} {error.Message}");
            }
        }
        while (!stop.IsCancellationRequested);
        return answers;
    }
}
