namespace Reeve.Mutation;

/// <summary>One small change of the source: what stood there and what stands there instead.</summary>
internal sealed record Mutant(int Number, string File, int Line, string Before, string After)
{
    /// <summary>Why no test can kill it; null for nearly all.</summary>
    internal string? Equivalent { get; init; }

    internal Verdict Verdict { get; set; }

    public override string ToString() => $"{File}:{Line} #{Number}: {Before} => {After}";
}

internal enum Verdict
{
    None,

    /// <summary>The mutated source is no C#, so it is not counted.</summary>
    DoesNotCompile,

    /// <summary>No test comes by.</summary>
    NotReached,

    Survived,
    Killed,
    TimedOut,
}
