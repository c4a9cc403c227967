using System.Collections.Concurrent;

namespace Reeve.Server.Inference;

/// <summary>How the providers have been of late: what the router goes by, and what an operator is shown.</summary>
internal sealed class ProviderHealth(TimeProvider time)
{
    /// <summary>Weight of the newest measurement: about the last ten count.</summary>
    private const double NewestWeight = 0.2;

    private readonly ConcurrentDictionary<string, ProviderState> _providers = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<RouteKey, double> _firstTokenMilliseconds = new();

    /// <summary>The state of a provider; one that is new begins with the settings that everybody begins with.</summary>
    internal ProviderState Of(string provider) => _providers.TryGetValue(provider, out var state)
        ? state
        : _providers.GetOrAdd(provider, static (name, clock) => new ProviderState(name, clock), time);

    internal void RecordFirstToken(RouteKey route, TimeSpan elapsed) =>
        _firstTokenMilliseconds.AddOrUpdate(
            route,
            static (_, measured) => measured,
            static (_, known, measured) => known + (NewestWeight * (measured - known)),
            elapsed.TotalMilliseconds);

    /// <summary>A route that failed counts as not measured, and so as slowest, until it answers again.</summary>
    internal void RecordFailure(RouteKey route) => _firstTokenMilliseconds.TryRemove(route, out _);

    /// <summary>Null for a route that has not answered yet, or failed last.</summary>
    internal double? FirstTokenMilliseconds(RouteKey route) =>
        _firstTokenMilliseconds.TryGetValue(route, out var milliseconds) ? milliseconds : null;
}
