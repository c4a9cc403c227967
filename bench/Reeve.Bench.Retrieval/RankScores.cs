namespace Reeve.Bench.Retrieval;

/// <summary>
/// How well passages were ranked, each a mean over queries from 0 to 1: <c>RecallAtOne</c> and <c>RecallAtFive</c> are
/// the share of the passages of grade 2 (at most one, at most five of them) among the first one and five;
/// <c>ReciprocalRank</c> is 1 / the place of the first of grade 2 among ten; <c>Gain</c> is nDCG at ten with the gain
/// 2^grade - 1 (Järvelin and Kekäläinen, 2002).
/// </summary>
internal sealed record RankScores(
    int Queries, double RecallAtOne, double RecallAtFive, double ReciprocalRank, double Gain)
{
    internal const int Depth = 10;

    internal static RankScores Of(IReadOnlyCollection<Query> queries, Func<Query, IReadOnlyList<string>> rank)
    {
        var (one, five, reciprocal, gain) = (0.0, 0.0, 0.0, 0.0);
        foreach (var query in queries)
        {
            var ranked = rank(query);
            var wanted = query.Grades.Where(static grade => grade.Value == 2).Select(static grade => grade.Key)
                .ToHashSet();
            one += Recall(ranked, wanted, 1);
            five += Recall(ranked, wanted, 5);
            var place = ranked.Take(Depth).ToList().FindIndex(wanted.Contains);
            reciprocal += place < 0 ? 0 : 1.0 / (place + 1);
            gain += Discounted(ranked.Select(id => query.Grades.GetValueOrDefault(id)))
                / Discounted(query.Grades.Values.OrderDescending());
        }

        var count = Math.Max(1, queries.Count);
        return new RankScores(queries.Count, one / count, five / count, reciprocal / count, gain / count);
    }

    private static double Recall(IReadOnlyList<string> ranked, HashSet<string> wanted, int depth) =>
        ranked.Take(depth).Count(wanted.Contains) / (double)Math.Min(depth, wanted.Count);

    private static double Discounted(IEnumerable<int> grades) => grades.Take(Depth)
        .Select(static (grade, place) => (Math.Pow(2, grade) - 1) / Math.Log2(place + 2)).Sum();
}
