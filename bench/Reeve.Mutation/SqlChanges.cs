using System.Text.RegularExpressions;

namespace Reeve.Mutation;

/// <summary>
/// Changes of the SQL inside a string: a bound off by one, a condition that is weaker, the other sign.
/// </summary>
internal static partial class SqlChanges
{
    private static readonly Dictionary<string, string> Swaps = new(StringComparer.Ordinal)
    {
        [" >= "] = " > ",
        [" > "] = " >= ",
        [" <= "] = " < ",
        [" < "] = " <= ",
        [" <> "] = " = ",
        [" + "] = " - ",
        [" - "] = " + ",
        [" AND "] = " OR ",
        [" OR "] = " AND ",
        [" DESC"] = " ASC",
        ["DISTINCT "] = "",
        [" IS NULL"] = " IS NOT NULL",
        [" IS NOT NULL"] = " IS NULL",
    };

    internal static bool IsSql(string text) => Sql().IsMatch(text);

    internal static IEnumerable<string> Of(string literal) => Operator().Matches(literal)
        .Select(match => string.Concat(
            literal.AsSpan(0, match.Index), Swaps[match.Value], literal.AsSpan(match.Index + match.Length)));

    [GeneratedRegex(@"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|AND|ORDER BY|GROUP BY|ON CONFLICT|HAVING)\b|\$\d")]
    private static partial Regex Sql();

    [GeneratedRegex(@" (?:>=|>|<=|<>|<|\+|-|AND|OR) | DESC\b|DISTINCT | IS NOT NULL| IS NULL")]
    private static partial Regex Operator();
}
