namespace Reeve.Server.Retrieval.Vectors;

/// <summary>Makes one score of how well words match and how near meanings are, both from 0 to 1.</summary>
internal static class Fusion
{
    /// <summary>The share of nearness; measured (docs/decisions/0036).</summary>
    internal const double NearnessShare = 0.5;

    /// <summary>A chunk that has no word of the question must be so near.</summary>
    internal const double NearnessMin = 0.35;

    /// <param name="words">The score of the words; 0 where it has none.</param>
    /// <param name="nearness">Null for a chunk without a vector, whose words say all.</param>
    /// <param name="share">Of nearness.</param>
    internal static double Score(double words, double? nearness, double share) =>
        nearness is not { } near ? words
        : words <= 0 && near < NearnessMin ? 0
        : ((1 - share) * words) + (share * near);
}
