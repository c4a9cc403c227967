using System.Text;

namespace Reeve.Server.Retrieval.Web;

/// <summary>
/// What a site asks of robots (RFC 9309): the rules of the groups that name this one, else of those for all. The
/// longest rule that fits a path counts, <c>Allow</c> among equals; what no rule fits is allowed.
/// </summary>
internal sealed class RobotsText
{
    /// <summary>What is read of a file; the standard asks for at least as much.</summary>
    internal const int BytesMax = 512 * 1024;

    /// <summary>How sites name this robot.</summary>
    internal const string Agent = "reeve";

    private const int RulesMax = 2_000;
    private const int RuleCharactersMax = 1_024;

    // What a site may make this server remember.
    private const int CharactersMax = 64 * 1024;
    private const int PartsMax = 4_096;

    private readonly List<(string[] Parts, bool IsWhole, int Length, bool IsAllowed)> _rules = [];
    private int _characters;
    private int _parts;

    internal static RobotsText AllowsAll { get; } = new();

    internal static RobotsText AllowsNothing { get; } = Parse("User-agent: *\nDisallow: /"u8);

    internal static RobotsText Parse(ReadOnlySpan<byte> file)
    {
        var (own, all) = (new RobotsText(), new RobotsText());
        var (isOwn, isAll, inRules, isNamed) = (false, false, false, false);
        foreach (var line in Encoding.UTF8.GetString(file).AsSpan().EnumerateLines())
        {
            var text = line.IndexOf('#') is >= 0 and var hash ? line[..hash] : line;
            if (text.IndexOf(':') is not (> 0 and var colon))
            {
                continue;
            }

            var key = text[..colon].Trim('\ufeff').Trim();
            var value = text[(colon + 1)..].Trim();
            if (key.Equals("user-agent", StringComparison.OrdinalIgnoreCase))
            {
                (isOwn, isAll) = inRules ? (false, false) : (isOwn, isAll);
                inRules = false;
                isOwn |= value.Equals(Agent, StringComparison.OrdinalIgnoreCase);
                isAll |= value is "*";
                isNamed |= isOwn;
                continue;
            }

            var isAllowed = key.Equals("allow", StringComparison.OrdinalIgnoreCase);
            if (isAllowed || key.Equals("disallow", StringComparison.OrdinalIgnoreCase))
            {
                inRules = true;
                own.Add(isOwn, value, isAllowed);
                all.Add(isAll, value, isAllowed);
            }
        }

        return isNamed ? own : all;
    }

    /// <param name="pathAndQuery">As it is asked for, percent-encoded.</param>
    internal bool Allows(string pathAndQuery)
    {
        var path = Canonical(pathAndQuery);
        var (best, isAllowed) = (-1, true);
        foreach (var rule in _rules)
        {
            if ((rule.Length > best || (rule.Length == best && rule.IsAllowed)) && Fits(rule.Parts, rule.IsWhole, path))
            {
                (best, isAllowed) = (rule.Length, rule.IsAllowed);
            }
        }

        return isAllowed;
    }

    private void Add(bool counts, ReadOnlySpan<char> value, bool isAllowed)
    {
        if (!counts || value.IsEmpty || value.Length > RuleCharactersMax || _rules.Count == RulesMax)
        {
            return; // An empty rule says nothing.
        }

        var isWhole = value[^1] == '$';
        var pattern = Canonical((isWhole ? value[..^1] : value).ToString());
        var parts = pattern.Split('*');
        if ((_characters += pattern.Length) <= CharactersMax && (_parts += parts.Length) <= PartsMax)
        {
            _rules.Add((parts, isWhole, pattern.Length, isAllowed));
        }
    }

    /// <summary>The parts of a pattern in their order, each as early as it goes.</summary>
    private static bool Fits(string[] parts, bool isWhole, string path)
    {
        if (!path.StartsWith(parts[0], StringComparison.Ordinal))
        {
            return false;
        }

        var at = parts[0].Length;
        for (var i = 1; i < parts.Length; i++)
        {
            if (isWhole && i == parts.Length - 1)
            {
                return path.Length - parts[i].Length >= at && path.EndsWith(parts[i], StringComparison.Ordinal);
            }

            var found = path.IndexOf(parts[i], at, StringComparison.Ordinal);
            if (found < 0)
            {
                return false;
            }

            at = found + parts[i].Length;
        }

        return !isWhole || at == path.Length;
    }

    /// <summary>One spelling: what is not ASCII percent-encoded, hexadecimal digits in upper case.</summary>
    private static string Canonical(string text)
    {
        var canonical = new StringBuilder(text.Length);
        foreach (var octet in Encoding.UTF8.GetBytes(text))
        {
            if (octet is > 0x20 and < 0x7f)
            {
                var isHex = canonical.Length > 0 && (canonical[^1] == '%'
                    || (canonical.Length > 1 && canonical[^2] == '%'));
                canonical.Append(isHex ? char.ToUpperInvariant((char)octet) : (char)octet);
            }
            else
            {
                canonical.Append('%').Append(octet.ToString("X2", System.Globalization.CultureInfo.InvariantCulture));
            }
        }

        return canonical.ToString();
    }
}
