using System.Collections.Concurrent;

namespace Reeve.Server.Inference;

/// <summary>How fast each model has been of late; what the router mode <c>fast</c> goes by.</summary>
internal sealed class ProviderHealth
{
    /// <summary>Weight of the newest measurement: about the last ten count.</summary>
    private const double NewestWeight = 0.2;

    private readonly ConcurrentDictionary<string, double> _firstTokenMilliseconds = new(StringComparer.Ordinal);

    internal void RecordFirstToken(string modelId, TimeSpan elapsed) =>
        _firstTokenMilliseconds.AddOrUpdate(
            modelId,
            static (_, measured) => measured,
            static (_, known, measured) => known + (NewestWeight * (measured - known)),
            elapsed.TotalMilliseconds);

    /// <summary>A model that failed counts as not measured, and so as slowest, until it answers again.</summary>
    internal void RecordFailure(string modelId) => _firstTokenMilliseconds.TryRemove(modelId, out _);

    /// <summary>Null for a model that has not answered yet, or failed last.</summary>
    internal double? FirstTokenMilliseconds(string modelId) =>
        _firstTokenMilliseconds.TryGetValue(modelId, out var milliseconds) ? milliseconds : null;
}
