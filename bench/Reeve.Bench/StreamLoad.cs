using System.Collections.Concurrent;

namespace Reeve.Bench;

internal readonly record struct StreamResult(long Tokens, double P50Milliseconds, double P99Milliseconds);

/// <summary>Many streams at once: paced ones for the time to the first token, held ones for the memory.</summary>
internal sealed class StreamLoad : IDisposable
{
    /// <summary>The paced streams begin evenly over the length of one: no burst is measured.</summary>
    private static readonly TimeSpan OneStream = TimeSpan.FromMilliseconds(20 * MockModels.AnswerTokens);
    private static readonly TimeSpan AnswerMax = TimeSpan.FromMinutes(5);
    private const int OpenAtOnceMax = 64;

    private readonly TimeProvider _time;
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = AnswerMax };

    internal StreamLoad(TimeProvider time) => _time = time;

    /// <summary>Streams without delay; answers how many.</summary>
    internal async Task<long> WarmUpAsync(
        Target target, int streams, int rounds, CancellationToken cancellationToken)
    {
        var result = await RunAsync(target, MockModels.Plain, TimeSpan.Zero, streams, rounds, cancellationToken);
        return result.Tokens / MockModels.AnswerTokens;
    }

    internal Task<StreamResult> RunAsync(
        Target target, int streams, int rounds, CancellationToken cancellationToken) =>
        RunAsync(target, MockModels.Paced, OneStream, streams, rounds, cancellationToken);

    /// <summary>Opens so many streams that stay silent after their first token.</summary>
    internal async Task<IReadOnlyList<TokenStream>> HoldAsync(
        Target target, int streams, CancellationToken cancellationToken)
    {
        var open = new ConcurrentBag<TokenStream>();
        var parallel = new ParallelOptions
        {
            MaxDegreeOfParallelism = OpenAtOnceMax,
            CancellationToken = cancellationToken,
        };
        await Parallel.ForAsync(0, streams, parallel, async (_, token) =>
        {
            var stream = await OpenAsync(target, MockModels.Held, token);
            open.Add(stream);
            await stream.ReadFirstTokenAsync(token);
        });
        return [.. open];
    }

    internal async Task ReleaseAsync(
        ServerProcess mock, IReadOnlyList<TokenStream> held, CancellationToken cancellationToken)
    {
        using var answer = await _http.PostAsync(new Uri(mock.Command.Url, "/release"), null, cancellationToken);
        answer.EnsureSuccessStatusCode();
        await Task.WhenAll(held.Select(stream => stream.ReadToEndAsync(cancellationToken)));
    }

    public void Dispose() => _http.Dispose();

    private async Task<StreamResult> RunAsync(
        Target target, string model, TimeSpan spread, int streams, int rounds, CancellationToken cancellationToken)
    {
        var firstTokens = new ConcurrentBag<double>();
        var workers = Enumerable.Range(0, streams).Select(async i =>
        {
            await Task.Delay(spread * i / streams, _time, cancellationToken);
            for (var round = 0; round < rounds; round++)
            {
                var started = _time.GetTimestamp();
                using var stream = await OpenAsync(target, model, cancellationToken);
                await stream.ReadFirstTokenAsync(cancellationToken);
                firstTokens.Add(_time.GetElapsedTime(started).TotalMilliseconds);
                await stream.ReadToEndAsync(cancellationToken);
            }
        });
        await Task.WhenAll(workers);
        var sorted = firstTokens.Order().ToArray();
        return new StreamResult(
            (long)sorted.Length * MockModels.AnswerTokens, Percentile(sorted, 0.5), Percentile(sorted, 0.99));
    }

    private async Task<TokenStream> OpenAsync(Target target, string model, CancellationToken cancellationToken)
    {
        try
        {
            return await TokenStream.OpenAsync(_http, target, model, cancellationToken);
        }
        catch (HttpRequestException problem)
        {
            throw new BenchException($"{target.Name}: {problem.Message}\n{target.Server.LastWords()}", problem);
        }
    }

    private static double Percentile(double[] sorted, double share) =>
        sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * share))];
}
