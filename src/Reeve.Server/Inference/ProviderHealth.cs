using System.Collections.Concurrent;

namespace Reeve.Server.Inference;

/// <summary>How the providers have been of late: what the router goes by, and what an operator is shown.</summary>
internal sealed class ProviderHealth(TimeProvider time)
{
    /// <summary>Weight of the newest measurement: about the last ten count.</summary>
    private const double NewestWeight = 0.2;

    /// <summary>The length of an answer by which routes are compared.</summary>
    internal const int AnswerTokens = 256;

    private const int TokensMin = 16;

    private readonly ConcurrentDictionary<string, ProviderState> _providers = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<RouteKey, double> _firstTokenMilliseconds = new();
    private readonly ConcurrentDictionary<RouteKey, double> _tokenMilliseconds = new();

    /// <summary>The state of a provider; one that is new begins with the settings that everybody begins with.</summary>
    internal ProviderState Of(string provider) => _providers.TryGetValue(provider, out var state)
        ? state
        : _providers.GetOrAdd(provider, static (name, clock) => new ProviderState(name, clock), time);

    internal void RecordFirstToken(RouteKey route, TimeSpan elapsed) =>
        Record(_firstTokenMilliseconds, route, elapsed.TotalMilliseconds);

    /// <summary>So many tokens came in so long after the first one; of too few nothing is learnt.</summary>
    internal void RecordTokens(RouteKey route, long tokens, TimeSpan elapsed)
    {
        if (tokens >= TokensMin)
        {
            Record(_tokenMilliseconds, route, elapsed.TotalMilliseconds / tokens);
        }
    }

    /// <summary>A route that failed counts as not measured, and so as slowest, until it answers again.</summary>
    internal void RecordFailure(RouteKey route)
    {
        _firstTokenMilliseconds.TryRemove(route, out _);
        _tokenMilliseconds.TryRemove(route, out _);
    }

    /// <summary>Null for a route that has not answered yet, or failed last.</summary>
    internal double? FirstTokenMilliseconds(RouteKey route) =>
        _firstTokenMilliseconds.TryGetValue(route, out var milliseconds) ? milliseconds : null;

    /// <summary>
    /// How long an answer of <see cref="AnswerTokens"/> would take, or as many as were asked for if fewer; null for a
    /// route that has not answered yet, or failed last. One of whose pace nothing is known counts as the quickest after
    /// its first token, so that it becomes known.
    /// </summary>
    internal double? AnswerMilliseconds(RouteKey route, int outputTokensMax) =>
        FirstTokenMilliseconds(route) is { } first
            ? first + (Math.Min(AnswerTokens, outputTokensMax) * _tokenMilliseconds.GetValueOrDefault(route))
            : null;

    private static void Record(ConcurrentDictionary<RouteKey, double> means, RouteKey route, double newest) =>
        means.AddOrUpdate(
            route,
            static (_, measured) => measured,
            static (_, known, measured) => known + (NewestWeight * (measured - known)),
            newest);
}
