namespace Reeve.Server.Inference;

/// <summary>What the operator may change of a provider while the server runs (wire-mesh 5.4).</summary>
internal sealed record ProviderSettings
{
    internal const int PriorityMax = 1_000;
    internal const int WeightMax = 1_000;
    internal const int ConcurrencyMax = 10_000;
    internal const int CooldownMillisecondsMin = 1_000;
    internal const int CooldownMillisecondsMax = 3_600_000;

    public bool Enabled { get; init; } = true;

    /// <summary>Among providers of the same model the lowest is asked first.</summary>
    public int Priority { get; init; } = 10;

    /// <summary>
    /// The share of the calls among providers of the same model and priority; 0 is asked only when no other is left.
    /// </summary>
    public int RoutingWeight { get; init; } = 1;

    /// <summary>The longest silence, before the first byte and between two.</summary>
    public int TimeoutMilliseconds { get; init; } = ProviderOptions.TimeoutMillisecondsDefault;

    internal TimeSpan Timeout => TimeSpan.FromMilliseconds(TimeoutMilliseconds);

    /// <summary>Calls under way at once; by itself only what a node takes in bounds them.</summary>
    public int MaxConcurrency { get; init; } = ConcurrencyMax;

    /// <summary>The share of failed calls, 0-1, above which the circuit opens; so with 1 it never does.</summary>
    public double ErrorRate { get; init; } = 0.2;

    /// <summary>How long an open circuit lets nothing through.</summary>
    public int CooldownMilliseconds { get; init; } = 60_000;
}

/// <summary>
/// What an operator has set of a provider's settings; null: it is as the configuration has it, also when that changes.
/// </summary>
internal sealed record ProviderChange
{
    public bool? Enabled { get; init; }

    public int? Priority { get; init; }

    public int? RoutingWeight { get; init; }

    public int? TimeoutMilliseconds { get; init; }

    public int? MaxConcurrency { get; init; }

    public double? ErrorRate { get; init; }

    public int? CooldownMilliseconds { get; init; }

    /// <summary>What holds where the configuration says so much.</summary>
    internal ProviderSettings Over(ProviderSettings configured) => new()
    {
        Enabled = Enabled ?? configured.Enabled,
        Priority = Priority ?? configured.Priority,
        RoutingWeight = RoutingWeight ?? configured.RoutingWeight,
        TimeoutMilliseconds = TimeoutMilliseconds ?? configured.TimeoutMilliseconds,
        MaxConcurrency = MaxConcurrency ?? configured.MaxConcurrency,
        ErrorRate = ErrorRate ?? configured.ErrorRate,
        CooldownMilliseconds = CooldownMilliseconds ?? configured.CooldownMilliseconds,
    };
}
