using System.Text.Json.Serialization;

namespace Reeve.Bench;

/// <summary>All that one run of the benchmark found; every rendering reads this.</summary>
internal sealed record BenchReport
{
    internal const double DriftPercentMax = 15;

    public required Machine Machine { get; init; }

    public required bool Quick { get; init; }

    /// <summary>How far the first and the last measurement of the pass-through lie apart.</summary>
    public required double DriftPercent { get; init; }

    public bool Accepted => DriftPercent <= DriftPercentMax;

    public required IReadOnlyList<LoadResult> Runs { get; init; }

    public required IReadOnlyList<LoadResult> DelayedRuns { get; init; }

    public required IReadOnlyList<StreamsResult> Streams { get; init; }

    public required IReadOnlyList<FootprintResult> Footprints { get; init; }

    public LedgerResult? Ledger { get; init; }

    public required IReadOnlyList<string> Notes { get; init; }
}

internal sealed record LoadResult
{
    public required string Server { get; init; }

    public required int Connections { get; init; }

    public required double RunsPerSecond { get; init; }

    public required double P50Milliseconds { get; init; }

    public required double P99Milliseconds { get; init; }

    public required double CpuMicrosecondsPerRun { get; init; }

    /// <summary>Null: the server does not count them.</summary>
    public double? CommitsPerSecond { get; init; }
}

internal sealed record StreamsResult
{
    public required string Server { get; init; }

    public required int Streams { get; init; }

    public required double FirstTokenP50Milliseconds { get; init; }

    public required double FirstTokenP99Milliseconds { get; init; }

    public required double CpuMicrosecondsPerToken { get; init; }
}

internal sealed record FootprintResult
{
    public required string Server { get; init; }

    public required double ColdStartMilliseconds { get; init; }

    /// <summary>After the load, in the process that served it.</summary>
    public required double PeakMegabytes { get; init; }

    public required double IdleMegabytes { get; init; }

    public required int HeldStreams { get; init; }

    public required double HeldMegabytes { get; init; }

    public required double BytesPerHeldStream { get; init; }

    public required double ReleasedMegabytes { get; init; }
}

internal sealed record LedgerResult
{
    public required long Settled { get; init; }

    public required decimal SettledUsd { get; init; }

    public required decimal BalanceUsd { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(BenchReport))]
internal sealed partial class BenchJsonContext : JsonSerializerContext;
