using System.Collections.Frozen;
using Microsoft.Extensions.AI;
using Reeve.Server.Privacy;

namespace Reeve.Server.Inference;

/// <summary>A model that can be called, and what its provider promises of the content.</summary>
internal abstract record CatalogModel(Model Model, PrivacyMarks Privacy)
{
    internal RouteKey Key => new(Model.Id, Model.Provider);
}

/// <summary>A model that answers, and through what.</summary>
internal sealed record CatalogEntry(Model Model, IChatClient Client, PrivacyMarks Privacy)
    : CatalogModel(Model, Privacy);

/// <summary>A model for embeddings, and through what; no router mode leads to it.</summary>
internal sealed record EmbeddingEntry(
    Model Model, IEmbeddingGenerator<string, Embedding<float>> Generator, PrivacyMarks Privacy)
    : CatalogModel(Model, Privacy);

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

    private readonly FrozenDictionary<string, CatalogEntry[]> _byId;
    private readonly FrozenDictionary<string, EmbeddingEntry[]> _embeddingsById;

    internal ModelCatalog(
        IEnumerable<(Model Model, IChatClient Client)> builtIns, IEnumerable<CatalogEntry> configured,
        IEnumerable<EmbeddingEntry>? embeddings = null, IReadOnlyDictionary<string, string>? tiers = null)
    {
        Tiers = tiers ?? FrozenDictionary<string, string>.Empty;
        Embeddings = [.. embeddings ?? []];
        Entries =
        [
            .. configured,
            .. builtIns.Select(pair => new CatalogEntry(pair.Model, pair.Client, PrivacyMarks.Process)),
        ];
        var routes = new HashSet<RouteKey>();
        foreach (var entry in Entries.Concat<CatalogModel>(Embeddings))
        {
            if (entry.Model.InputUsdPerMillion < 0 || entry.Model.OutputUsdPerMillion < 0 || !routes.Add(entry.Key))
            {
                throw new ArgumentException($"The model {entry.Model.Id} has a negative price or is there twice.");
            }
        }

        var byId = ById(Entries);
        var embeddingsById = ById(Embeddings);
        if (embeddingsById.Keys.FirstOrDefault(byId.ContainsKey) is { } both)
        {
            throw new ArgumentException($"The model {both} makes embeddings and answers as well.");
        }

        // The documentation's example asks for a Sonnet without its minor version.
        if (byId.Keys.Where(static id => id.StartsWith(SonnetPrefix, StringComparison.Ordinal))
            .Max(StringComparer.Ordinal) is { } sonnet)
        {
            byId.TryAdd(SonnetAlias, byId[sonnet]);
        }

        foreach (var (tier, id) in Tiers)
        {
            if (byId.TryGetValue(id, out var entry))
            {
                byId.TryAdd(tier, entry);
            }
            else if (embeddingsById.TryGetValue(id, out var embedding))
            {
                embeddingsById.TryAdd(tier, embedding);
            }
            else
            {
                throw new ArgumentException($"The tier {tier} names {id}, which is no model.");
            }
        }

        _byId = byId.ToFrozenDictionary(StringComparer.Ordinal);
        _embeddingsById = embeddingsById.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>
    /// Configured models in the operator's order, then the built-in ones; aliases are not among them.
    /// </summary>
    internal IReadOnlyList<CatalogEntry> Entries { get; }

    /// <summary>Models for embeddings, in the operator's order.</summary>
    internal IReadOnlyList<EmbeddingEntry> Embeddings { get; }

    /// <summary>The tiers that the operator mapped, each with the id of its model.</summary>
    internal IReadOnlyDictionary<string, string> Tiers { get; }

    internal static bool IsRouterMode(string name) => RouterModes.Words.AsSpan().Contains(name);

    /// <summary>
    /// Everybody who makes the vectors of a model, by its id or by the tier <c>mesh/embed</c>; none for a name that is
    /// unknown.
    /// </summary>
    internal EmbeddingEntry[] EmbeddingRoutes(string id) => _embeddingsById.GetValueOrDefault(id, []);

    /// <summary>By id, tier or alias; the entry's own id is the canonical one. Null for an unknown name.</summary>
    internal CatalogEntry? Find(string id) => Routes(id) is [var first, ..] ? first : null;

    /// <summary>Everybody who answers for a model; none for a name that is unknown.</summary>
    internal CatalogEntry[] Routes(string id) => _byId.GetValueOrDefault(id, []);

    /// <summary>The route of a call that was made; null when it is not configured any more.</summary>
    internal CatalogModel? Find(RouteKey route) =>
        Array.Find<CatalogModel>(Routes(route.Model), entry => entry.Model.Provider == route.Provider)
        ?? Array.Find(EmbeddingRoutes(route.Model), entry => entry.Model.Provider == route.Provider);

    private static Dictionary<string, T[]> ById<T>(IEnumerable<T> entries)
        where T : CatalogModel => entries.GroupBy(static entry => entry.Model.Id, StringComparer.Ordinal)
            .ToDictionary(static group => group.Key, static group => group.ToArray(), StringComparer.Ordinal);
}
