namespace Reeve.Server;

internal enum Health
{
    Ok,

    /// <summary>It works, but somebody should know.</summary>
    Warning,

    /// <summary>Something does not work, or will not at the next start.</summary>
    Problem,
}

/// <summary>What one check of <c>reeve doctor</c> found.</summary>
internal sealed record Finding(Health Health, string Check, string Text)
{
    public override string ToString() => $"{Health.ToString().ToLowerInvariant(),-8} {Check}: {Text}";
}

/// <summary>
/// What <c>reeve doctor</c> found so far: a line a check, and for all that is not well the way to mend it.
/// </summary>
internal sealed class Diagnosis
{
    private readonly List<Finding> _findings = [];

    internal IReadOnlyList<Finding> Findings => _findings;

    internal bool HasProblems => _findings.Exists(static finding => finding.Health == Health.Problem);

    internal void Ok(string check, string text) => _findings.Add(new Finding(Health.Ok, check, text));

    internal void Warn(string check, string text, string mend) =>
        _findings.Add(new Finding(Health.Warning, check, $"{text} {mend}"));

    internal void Problem(string check, string text, string mend) =>
        _findings.Add(new Finding(Health.Problem, check, $"{text} {mend}"));
}
