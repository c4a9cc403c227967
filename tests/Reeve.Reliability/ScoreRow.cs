namespace Reeve.Reliability;

/// <summary>How much a harness tries: in <c>./test</c>, on every change, or once for the published figures.</summary>
internal enum Scale
{
    Test,
    Ci,
    Bench,
}

/// <summary>What one row is asked to do. <c>Count</c> picks the number of trials of a scale.</summary>
internal sealed record Trial(Scale Scale, ulong Seed, Action<string> Log)
{
    /// <summary>How long a row that has a length goes on; null: as its scale says.</summary>
    internal TimeSpan? Length { get; init; }

    internal int Count(int test, int ci, int bench) => Scale switch
    {
        Scale.Test => test,
        Scale.Ci => ci,
        _ => bench,
    };
}

/// <summary>
/// What came out: violations over trials, never "proved". <c>Figures</c> are measured values for people to read;
/// <c>Problems</c> say of each violation what to look at (a seed, an offset), at most a few hundred.
/// </summary>
internal sealed record Score(long Trials, string Figures, IReadOnlyList<string> Problems);

internal delegate Task<Score> Measure(Trial trial);

/// <summary>
/// A line of the scoreboard. A row whose subject does not exist yet has no <c>Run</c>, and <c>NotYet</c> says where it
/// will plug in.
/// </summary>
internal sealed record ScoreRow(string Id, string What, Measure? Run)
{
    internal string? NotYet { get; init; }
}
