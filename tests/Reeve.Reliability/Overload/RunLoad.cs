using System.Collections.Concurrent;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Overload;

/// <summary>What came of a load. Rates are per second.</summary>
internal sealed class LoadResult
{
    private const int ProblemsMax = 50;

    /// <summary>Times of runs that were done, from when they were due.</summary>
    internal Latencies Good { get; } = new();

    /// <summary>Times of refusals.</summary>
    internal Latencies Refused { get; } = new();

    internal ConcurrentQueue<string> Problems { get; } = new();

    internal double Rate { get; set; }

    internal double Offered { get; set; }

    internal void Wrong(string problem)
    {
        if (Problems.Count < ProblemsMax)
        {
            Problems.Enqueue(problem);
        }
    }
}

/// <summary>JSON runs over raw connections: by callers who wait for answers, or at a rate come what may.</summary>
internal sealed class RunLoad(LoadedServer server) : IDisposable
{
    private const int ConnectionsMax = 2_000;

    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(30);

    private readonly ConcurrentStack<RawConnection> _idle = new();
    private readonly byte[] _request = RawConnection.Request(
        "POST", "/v1/agents/runs", $$"""{"agent":"{{server.AgentId}}","input":"How are the coins counted?"}""");

    private int _connections;

    /// <summary>Each caller asks again as soon as it has its answer.</summary>
    internal async Task<LoadResult> ClosedAsync(int callers, TimeSpan duration)
    {
        var result = new LoadResult();
        var begun = TimeProvider.System.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            while (TimeProvider.System.GetElapsedTime(begun) < duration)
            {
                await AskAsync(result, TimeProvider.System.GetTimestamp());
            }
        })));
        result.Rate = result.Good.Count / TimeProvider.System.GetElapsedTime(begun).TotalSeconds;
        return result;
    }

    /// <summary>Requests become due at a steady rate, whatever becomes of those before.</summary>
    internal async Task<LoadResult> OpenAsync(double rate, TimeSpan duration)
    {
        var result = new LoadResult();
        var open = 0;
        var due = 0L;
        var (sent, unsent) = (0L, 0L);
        var begun = TimeProvider.System.GetTimestamp();
        var frequency = TimeProvider.System.TimestampFrequency;
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        while (TimeProvider.System.GetElapsedTime(begun) is var elapsed && elapsed < duration)
        {
            for (; due < elapsed.TotalSeconds * rate; due++)
            {
                if (Volatile.Read(ref open) >= ConnectionsMax)
                {
                    unsent++;
                    continue;
                }

                Interlocked.Increment(ref open);
                sent++;
                _ = AskOnceAsync(begun + (long)(due / rate * frequency));
            }

            await timer.WaitForNextTickAsync();
        }

        var seconds = TimeProvider.System.GetElapsedTime(begun).TotalSeconds;
        result.Rate = result.Good.Count / seconds;
        result.Offered = sent / seconds;
        while (Volatile.Read(ref open) > 0)
        {
            await timer.WaitForNextTickAsync();
        }

        return result;

        async Task AskOnceAsync(long dueAt)
        {
            await Task.Yield();
            await AskAsync(result, dueAt);
            Interlocked.Decrement(ref open);
        }
    }

    public void Dispose()
    {
        foreach (var connection in _idle)
        {
            connection.Dispose();
        }
    }

    private async Task AskAsync(LoadResult result, long dueAt)
    {
        RawConnection? connection = null;
        try
        {
            using var deadline = new CancellationTokenSource(AnswerMax);
            if (!_idle.TryPop(out connection))
            {
                connection = await RawConnection.OpenAsync(server.Url, deadline.Token);
                Interlocked.Increment(ref _connections);
            }

            var answer = await connection.SendAsync(_request, deadline.Token);
            var time = TimeProvider.System.GetElapsedTime(dueAt);
            switch (answer.Status)
            {
                case 200:
                    result.Good.Add(time);
                    break;
                case 429 or 503 when answer.HasRetryAfter:
                    result.Refused.Add(time);
                    break;
                default:
                    result.Wrong($"answered {answer.Head} {answer.Text}");
                    break;
            }

            if (answer.IsKept)
            {
                _idle.Push(connection);
                connection = null;
            }
        }
        catch (Exception error) when (error is IOException or OperationCanceledException
            or System.Net.Sockets.SocketException)
        {
            result.Wrong($"no answer after {TimeProvider.System.GetElapsedTime(dueAt).TotalSeconds:F1} s: "
                + $"{error.GetType().Name}: {error.Message}");
        }
        finally
        {
            connection?.Dispose();
        }
    }
}
