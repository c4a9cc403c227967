using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Reeve.Server.Agents;

/// <summary>The readable name of an agent in paths and requests; unique in its account.</summary>
internal static partial class AgentSlug
{
    internal const int LengthMax = 63;

    /// <summary>It would hide <c>POST /v1/agents/runs</c>.</summary>
    internal const string Reserved = "runs";

    private const int TriesMax = 100;

    internal static bool IsValid(string text) => Pattern().IsMatch(text);

    /// <summary>
    /// The first free slug made from a name: <c>privacy-desk</c>, <c>privacy-desk-2</c>, and so on; after many of them
    /// one that ends like the agent's id.
    /// </summary>
    internal static string Derive(string name, string agentId, Func<string, bool> isTaken)
    {
        var stem = Stem(name);
        for (var number = 1; number <= TriesMax; number++)
        {
            var slug = number == 1 ? stem : WithSuffix(stem, number.ToString(CultureInfo.InvariantCulture));
            if (slug != Reserved && !isTaken(slug))
            {
                return slug;
            }
        }

        return WithSuffix(stem, agentId[^Id.BodyLength..].ToLowerInvariant());
    }

    private static string Stem(string name)
    {
        var slug = new StringBuilder(LengthMax);
        foreach (var character in name)
        {
            if (slug.Length == LengthMax)
            {
                break;
            }

            if (char.IsAsciiLetterOrDigit(character))
            {
                slug.Append(char.ToLowerInvariant(character));
            }
            else if (slug.Length > 0 && slug[^1] != '-')
            {
                slug.Append('-');
            }
        }

        var stem = slug.ToString().TrimEnd('-');
        return stem.Length == 0 ? "agent" : stem;
    }

    private static string WithSuffix(string stem, string suffix) =>
        $"{stem[..Math.Min(stem.Length, LengthMax - 1 - suffix.Length)].TrimEnd('-')}-{suffix}";

    [GeneratedRegex(@"^[a-z0-9][a-z0-9-]{0,62}\z")]
    private static partial Regex Pattern();
}
