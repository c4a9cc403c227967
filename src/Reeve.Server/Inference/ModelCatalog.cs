using System.Collections.Frozen;
using Microsoft.Extensions.AI;
using Reeve.Server.Privacy;

namespace Reeve.Server.Inference;

/// <summary>A model that can be called, through what, and what its provider promises of the content.</summary>
internal sealed record CatalogEntry(Model Model, IChatClient Client, PrivacyMarks Privacy);

/// <summary>The names that a caller may give in the place of a model; the router then chooses.</summary>
internal static class RouterModes
{
    internal const string Auto = "auto";
    internal const string Cheapest = "cheapest";
    internal const string Fast = "fast";
    internal const string Best = "best";

    internal static readonly string[] Words = [Auto, Cheapest, Fast, Best];
}

/// <summary>
/// The models of this server: the configured ones and those built in. It does not change while it runs.
/// </summary>
internal sealed class ModelCatalog
{
    private const string SonnetAlias = "mesh/claude-sonnet-4";
    private const string SonnetPrefix = "mesh/claude-sonnet-";

    private readonly FrozenDictionary<string, CatalogEntry> _byId;

    internal ModelCatalog(
        IEnumerable<(Model Model, IChatClient Client)> builtIns, IEnumerable<CatalogEntry> configured)
    {
        Entries =
        [
            .. configured,
            .. builtIns.Select(pair => new CatalogEntry(pair.Model, pair.Client, PrivacyMarks.Process)),
        ];
        var byId = new Dictionary<string, CatalogEntry>(StringComparer.Ordinal);
        foreach (var entry in Entries)
        {
            if (entry.Model.InputUsdPerMillion < 0 || entry.Model.OutputUsdPerMillion < 0
                || !byId.TryAdd(entry.Model.Id, entry))
            {
                throw new ArgumentException($"The model {entry.Model.Id} has a negative price or is there twice.");
            }
        }

        // The documentation's example asks for a Sonnet without its minor version.
        if (Entries.Where(entry => entry.Model.Id.StartsWith(SonnetPrefix, StringComparison.Ordinal))
            .MaxBy(entry => entry.Model.Id, StringComparer.Ordinal) is { } sonnet)
        {
            byId.TryAdd(SonnetAlias, sonnet);
        }

        _byId = byId.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>
    /// Configured models in the operator's order, then the built-in ones; aliases are not among them.
    /// </summary>
    internal IReadOnlyList<CatalogEntry> Entries { get; }

    internal static bool IsRouterMode(string name) => RouterModes.Words.AsSpan().Contains(name);

    /// <summary>By id or alias; the entry's own id is the canonical one. Null for a name that is unknown.</summary>
    internal CatalogEntry? Find(string id) => _byId.GetValueOrDefault(id);
}
