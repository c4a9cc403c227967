using System.Text;
using Reeve.Server.Http;
using Reeve.Server.Privacy;

namespace Reeve.Server.Inference;

/// <summary>
/// Chooses the route of a call (wire-mesh 4.3). What the privacy class, the kind of key or a missing capability forbids
/// is never taken, nor a provider that is switched off, full or has an open circuit. Among the rest a router mode
/// passes over models that the prompt does not fit into, then those that the balance does not cover, then providers
/// that fail more than usual, while others are left; then its own rule decides, then the price, then the id. Between
/// providers of one model their priority decides, then their weight.
/// </summary>
internal sealed class ModelRouter(ModelCatalog catalog, ProviderHealth health)
{
    internal const int QualityOfAutoMin = 50;
    private const int RetryAfterSecondsMin = 5;
    private const string Direct = "direct";

    private uint _choices;

    /// <exception cref="ApiException">
    /// No model is permitted, none of those permitted is left, or none has the name.
    /// </exception>
    internal Route Choose(RouteRequest request)
    {
        Interlocked.Increment(ref _choices);
        var refusal = new Refusal();
        var route = request.Fallbacks.Count == 0 ? ChooseOne(request.Model, request, ref refusal)
            : request.CheapestOfFallbacks ? ChooseCheapest(request, ref refusal)
            : ChooseInOrder(request, ref refusal);
        if (route is not null)
        {
            return route;
        }

        if (refusal.IsLeft)
        {
            throw new ApiException(ApiErrorCodes.ProviderUnavailable, "No permitted provider answered.")
            {
                RetryAfterSeconds = Math.Max(RetryAfterSecondsMin, (int)Math.Ceiling(refusal.Wait.TotalSeconds)),
            };
        }

        throw NothingPermitted(request);
    }

    private Route? ChooseInOrder(RouteRequest request, ref Refusal refusal)
    {
        for (var i = -1; i < request.Fallbacks.Count; i++)
        {
            // What a mode chose was its one try; then the list goes on.
            var name = i < 0 ? request.Model : request.Fallbacks[i];
            if (ModelCatalog.IsRouterMode(name) && request.Excluded.Count > 0)
            {
                refusal.IsLeft = true;
                continue;
            }

            if (ChooseOne(name, request, ref refusal) is { } route)
            {
                return i < 0 ? route : route with { Reason = "It is the first of the list that is left." };
            }
        }

        return null;
    }

    private Route? ChooseCheapest(RouteRequest request, ref Refusal refusal)
    {
        var search = new Search(RouterModes.Cheapest);
        for (var i = -1; i < request.Fallbacks.Count; i++)
        {
            foreach (var entry in Named(i < 0 ? request.Model : request.Fallbacks[i], request))
            {
                Consider(entry, request, ref search, ref refusal);
            }
        }

        return search.Best is { } best ? Make(best, Direct, "It is the cheapest of the list that fits.") : null;
    }

    private Route? ChooseOne(string name, RouteRequest request, ref Refusal refusal)
    {
        var isMode = ModelCatalog.IsRouterMode(name);
        var search = new Search(isMode ? name : null);

        // The built-in model is there for when nothing else is permitted, not for when all else has failed.
        var builtIn = isMode && !OthersArePermitted(request);
        foreach (var entry in isMode ? (IReadOnlyList<CatalogModel>)catalog.Entries : Named(name, request))
        {
            if (!isMode || entry.Model.IsBuiltIn == builtIn)
            {
                Consider(entry, request, ref search, ref refusal);
            }
        }

        return search.Best is not { } best ? null
            : isMode ? Make(best, name, Reason(request, name, best.Model, search.PassedOver))
            : Make(best, Direct, search.Count > 1 || request.Excluded.Count > 0
                ? "The model was named; its provider is the first that is left."
                : "The model was named.");
    }

    private void Consider(CatalogModel entry, RouteRequest request, ref Search search, ref Refusal refusal)
    {
        if (!IsPermitted(entry, request) || !HasAll(entry.Model, request.Needs))
        {
            return;
        }

        search.Count++;
        var (standing, wait) = entry.Model.IsBuiltIn
            ? (ProviderStanding.Healthy, TimeSpan.Zero)
            : health.Of(entry.Model.Provider).Look();
        if (standing > ProviderStanding.Degraded || request.Excluded.Contains(entry.Key))
        {
            // The shortest wait of those that are not there just now is when asking again makes sense.
            refusal.Wait = refusal.Wait == default || wait < refusal.Wait ? wait : refusal.Wait;
            refusal.IsLeft = true;
            return;
        }

        var rank = RankOf(entry.Model, request, search.Mode, standing);
        search.AnyUncovered |= !rank.IsAffordable;
        if (search.Best is null || IsBefore(rank, search.Rank))
        {
            (search.Best, search.Rank) = (entry, rank);
        }
    }

    private CatalogModel[] Named(string name, RouteRequest request)
    {
        CatalogModel[] routes = request.Needs.Contains(Capabilities.Embeddings)
            ? catalog.EmbeddingRoutes(name)
            : catalog.Routes(name);
        return routes.Length > 0
            ? routes
            : throw ApiException.Invalid("model names no model of this server and no router mode.", "model");
    }

    private static Route Make(CatalogModel entry, string tier, string reason) =>
        new() { Tier = tier, Entry = entry, Reason = reason };

    private bool OthersArePermitted(RouteRequest request)
    {
        foreach (var entry in catalog.Entries)
        {
            if (!entry.Model.IsBuiltIn && IsPermitted(entry, request))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsPermitted(CatalogModel entry, RouteRequest request) =>
        (entry.Model.IsBuiltIn || !request.BuiltInOnly)
        && PrivacyGate.Permits(request.PrivacyClass, entry.Privacy)
        && !(request.HasImages && PrivacyGate.MustMask(request.PrivacyClass, entry.Privacy));

    private static bool HasAll(Model model, IReadOnlySet<string> needs) =>
        needs.Count == 0 || needs.IsSubsetOf(model.Capabilities);

    private Rank RankOf(Model model, RouteRequest request, string? mode, ProviderStanding standing)
    {
        var output = Math.Min(request.OutputTokensMax, model.OutputTokensMax);
        var upstream = Price.Upstream(model, request.PromptTokens, output);
        var settings = health.Of(model.Provider).Settings;
        return new Rank(
            (long)request.PromptTokens + output <= model.ContextTokens,
            request.AvailableMicroUsd is not { } available || upstream == 0
                || Price.Estimate(model, request.PromptTokens, output, request.MarginRate) <= available,
            standing,
            mode switch
            {
                RouterModes.Auto => model.Quality >= QualityOfAutoMin ? 0 : 1,
                RouterModes.Best => -model.Quality,
                RouterModes.Fast => health.AnswerMilliseconds(new RouteKey(model.Id, model.Provider), output)
                    ?? double.PositiveInfinity,
                _ => 0,
            },
            mode is null ? 0 : upstream,
            model.Id,
            settings.Priority,
            settings.RoutingWeight,
            model.Provider);
    }

    // Weights are drawn only between providers that nothing else tells apart: most choices need none.
    private bool IsBefore(in Rank rank, in Rank other)
    {
        var order = rank.CompareTo(other);
        return order != 0
            ? order < 0
            : Draw(rank.Weight, rank.Provider) < Draw(other.Weight, other.Provider);
    }

    // The smallest of such draws falls to each provider as often as its share of the weights says. They are taken from
    // a count and not from a generator, so that a history can be played again.
    private double Draw(int weight, string provider)
    {
        if (weight == 0)
        {
            return double.PositiveInfinity;
        }

        var mixed = (ulong)Volatile.Read(ref _choices) + ((ulong)(uint)provider.Length << 32);
        foreach (var character in provider)
        {
            mixed = (mixed ^ character) * 0x9E3779B97F4A7C15;
            mixed ^= mixed >> 29;
        }

        return -Math.Log(((mixed >> 11) + 1) * (1.0 / (1UL << 53))) / weight;
    }

    private string Reason(RouteRequest request, string mode, Model model, bool passedOver)
    {
        if (model.IsBuiltIn)
        {
            return request.BuiltInOnly ? "A test key reaches built-in models only."
                : request.PrivacyClass == PrivacyClass.Standard ? "No other model is configured."
                : "The privacy class permits built-in models only.";
        }

        var reason = mode switch
        {
            RouterModes.Auto when model.Quality < QualityOfAutoMin =>
                "It is the cheapest permitted model, and none of better quality is left.",
            RouterModes.Auto => "It is the cheapest permitted model of sufficient quality.",
            RouterModes.Best => "It has the highest quality of the permitted models.",
            RouterModes.Fast when health.FirstTokenMilliseconds(new RouteKey(model.Id, model.Provider)) is null =>
                "It is the cheapest permitted model, and the speed of none is known.",
            RouterModes.Fast => "It is the quickest permitted model of late.",
            _ => "It is the cheapest permitted model.",
        };
        return request.Excluded.Count > 0 ? Short(reason) + "; another model failed before."
            : passedOver ? Short(reason) + "; the balance does not cover every other."
            : reason;
    }

    private static string Short(string sentence) => sentence[..^1];

    /// <summary>What rules a model out, as the end of a sentence; null for nothing.</summary>
    private static string? Obstacle(CatalogModel entry, RouteRequest request)
    {
        if (!PrivacyGate.Permits(request.PrivacyClass, entry.Privacy))
        {
            return $"the privacy class {request.PrivacyClass.Word()}";
        }

        if (request.HasImages && PrivacyGate.MustMask(request.PrivacyClass, entry.Privacy))
        {
            return "the images, in which personal data cannot be masked";
        }

        if (request.BuiltInOnly && !entry.Model.IsBuiltIn)
        {
            return "the test key, which reaches built-in models only";
        }

        return HasAll(entry.Model, request.Needs)
            ? null
            : "the lack of " + string.Join(", ", request.Needs.Where(need => !entry.Model.Capabilities.Contains(need)));
    }

    private ApiException NothingPermitted(RouteRequest request)
    {
        var isMode = ModelCatalog.IsRouterMode(request.Model);
        if (!isMode && request.Fallbacks.Count == 0)
        {
            var named = Named(request.Model, request)[0];
            return new ApiException(ApiErrorCodes.NoPermittedRoute,
                $"The model {named.Model.Id} is ruled out by {Obstacle(named, request)}.");
        }

        var builtIn = !OthersArePermitted(request);
        var asked = isMode
            ? catalog.Entries.Where(entry => !entry.Model.IsBuiltIn || builtIn)
            : catalog.Routes(request.Model);
        var obstacles = asked.Concat(request.Fallbacks.SelectMany(catalog.Routes)).Distinct()
            .Select(entry => Obstacle(entry, request))
            .GroupBy(obstacle => obstacle, StringComparer.Ordinal)
            .Select(group => $"{group.Count()} ruled out by {group.Key}");
        return new ApiException(
            ApiErrorCodes.NoPermittedRoute,
            new StringBuilder("No model is permitted: ")
                .AppendJoin("; ", obstacles.DefaultIfEmpty("none is configured")).Append('.').ToString());
    }

    /// <summary>Why nothing was found: whether anything would do at another time, and when.</summary>
    private struct Refusal
    {
        internal bool IsLeft;
        internal TimeSpan Wait;
    }

    private struct Search(string? mode)
    {
        internal readonly string? Mode = mode;
        internal CatalogModel? Best;
        internal Rank Rank;
        internal bool AnyUncovered;
        internal int Count;

        internal readonly bool PassedOver => Rank.IsAffordable && AnyUncovered;
    }

    private readonly record struct Rank(
        bool Fits, bool IsAffordable, ProviderStanding Standing, double Score, decimal Price, string Id, int Priority,
        int Weight, string Provider)
    {
        internal int CompareTo(in Rank other)
        {
            var order = other.Fits.CompareTo(Fits);
            order = order != 0 ? order : other.IsAffordable.CompareTo(IsAffordable);
            order = order != 0 ? order : Standing - other.Standing;
            order = order != 0 ? order : Score.CompareTo(other.Score);
            order = order != 0 ? order : Price.CompareTo(other.Price);
            order = order != 0 ? order : string.CompareOrdinal(Id, other.Id);
            return order != 0 ? order : Priority.CompareTo(other.Priority);
        }
    }
}
