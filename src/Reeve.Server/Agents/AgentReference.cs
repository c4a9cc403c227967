using System.Globalization;

namespace Reeve.Server.Agents;

/// <summary>
/// How an agent is named: <c>agt_X</c> (also <c>agent_X</c>) in any letter case, or its slug; with <c>@N</c> for one
/// version. Exactly one of <see cref="Id"/> and <see cref="Slug"/> is set.
/// </summary>
internal readonly record struct AgentReference(string? Id, string? Slug, int? Version)
{
    private const string LongPrefix = "agent";

    internal static bool TryParse(string text, out AgentReference reference)
    {
        reference = default;
        var name = text;
        int? version = null;
        var at = text.LastIndexOf('@');
        if (at >= 0)
        {
            name = text[..at];
            if (!int.TryParse(text.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                || number == 0 || text[at + 1] == '0')
            {
                return false;
            }

            version = number;
        }

        if (Server.Id.TryParse(Server.Id.Agent, name, out var id))
        {
            reference = new AgentReference(id, null, version);
            return true;
        }

        if (Server.Id.TryParse(LongPrefix, name, out var longId))
        {
            reference = new AgentReference(Server.Id.WithPrefix(Server.Id.Agent, longId), null, version);
            return true;
        }

        reference = new AgentReference(null, name, version);
        return AgentSlug.IsValid(name);
    }
}
