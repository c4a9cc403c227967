using System.Text;
using Reeve.Server.Http;
using Reeve.Server.Privacy;

namespace Reeve.Server.Inference;

/// <summary>
/// Chooses the model of a call (wire-mesh 4.3). What the privacy class, the kind of key or a missing capability forbids
/// is never taken. Among the rest a router mode passes over models that the prompt does not fit into, and then those
/// that the balance does not cover, while others are left; then its own rule decides, then the price, then the id.
/// </summary>
internal sealed class ModelRouter(ModelCatalog catalog, ProviderHealth health)
{
    internal const int QualityOfAutoMin = 50;
    private const int RetryAfterSeconds = 5;
    private const string Direct = "direct";

    /// <exception cref="ApiException">
    /// No model is permitted, none of those permitted is left, or none has the name.
    /// </exception>
    internal Route Choose(RouteRequest request) =>
        ModelCatalog.IsRouterMode(request.Model) ? ChooseByMode(request) : ChooseNamed(request);

    private Route ChooseNamed(RouteRequest request)
    {
        var entry = catalog.Find(request.Model)
            ?? throw ApiException.Invalid("model names no model of this server and no router mode.", "model");
        if (Obstacle(entry, request) is { } obstacle)
        {
            throw new ApiException(
                ApiErrorCodes.NoPermittedRoute, $"The model {entry.Model.Id} is ruled out by {obstacle}.");
        }

        return request.Excluded.Contains(entry.Model.Id)
            ? throw Unavailable()
            : new Route { Tier = Direct, Model = entry.Model, Client = entry.Client, Reason = "The model was named." };
    }

    private Route ChooseByMode(RouteRequest request)
    {
        // The built-in model is there for when nothing else is permitted, not for when all else has failed.
        var builtIn = !OthersArePermitted(request);
        CatalogEntry? chosen = null;
        var best = default(Rank);
        var (anyLeft, passedOver) = (false, false);
        foreach (var entry in catalog.Entries)
        {
            if (entry.Model.IsBuiltIn != builtIn || !IsPermitted(entry, request) || !HasAll(entry.Model, request.Needs))
            {
                continue;
            }

            anyLeft = true;
            if (request.Excluded.Contains(entry.Model.Id))
            {
                continue;
            }

            var rank = RankOf(entry.Model, request);
            passedOver |= !rank.IsAffordable;
            if (chosen is null || rank.IsBefore(best))
            {
                (chosen, best) = (entry, rank);
            }
        }

        if (chosen is null)
        {
            throw anyLeft ? Unavailable() : NothingPermitted(request, builtIn);
        }

        return new Route
        {
            Tier = request.Model,
            Model = chosen.Model,
            Client = chosen.Client,
            Reason = Reason(request, chosen.Model, best.IsAffordable && passedOver),
        };
    }

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

    private static bool IsPermitted(CatalogEntry entry, RouteRequest request) =>
        (entry.Model.IsBuiltIn || !request.BuiltInOnly) && PrivacyGate.Permits(request.PrivacyClass, entry.Privacy);

    private static bool HasAll(Model model, IReadOnlySet<string> needs) =>
        needs.Count == 0 || needs.IsSubsetOf(model.Capabilities);

    private Rank RankOf(Model model, RouteRequest request)
    {
        var output = Math.Min(request.OutputTokensMax, model.OutputTokensMax);
        var upstream = Price.Upstream(model, request.PromptTokens, output);
        return new Rank(
            (long)request.PromptTokens + output <= model.ContextTokens,
            request.AvailableMicroUsd is not { } available || upstream == 0
                || Price.Estimate(model, request.PromptTokens, output, request.MarginRate) <= available,
            request.Model switch
            {
                RouterModes.Auto => model.Quality >= QualityOfAutoMin ? 0 : 1,
                RouterModes.Best => -model.Quality,
                RouterModes.Fast => health.FirstTokenMilliseconds(model.Id) ?? double.PositiveInfinity,
                _ => 0,
            },
            upstream,
            model.Id);
    }

    private string Reason(RouteRequest request, Model model, bool passedOver)
    {
        if (model.IsBuiltIn)
        {
            return request.BuiltInOnly ? "A test key reaches built-in models only."
                : request.PrivacyClass == PrivacyClass.Standard ? "No other model is configured."
                : "The privacy class permits built-in models only.";
        }

        var reason = request.Model switch
        {
            RouterModes.Auto when model.Quality < QualityOfAutoMin =>
                "It is the cheapest permitted model, and none of better quality is left.",
            RouterModes.Auto => "It is the cheapest permitted model of sufficient quality.",
            RouterModes.Best => "It has the highest quality of the permitted models.",
            RouterModes.Fast when health.FirstTokenMilliseconds(model.Id) is null =>
                "It is the cheapest permitted model, and the speed of none is known.",
            RouterModes.Fast => "It is the quickest permitted model of late.",
            _ => "It is the cheapest permitted model.",
        };
        return request.Excluded.Count > 0 ? Short(reason) + "; another model failed before."
            : passedOver ? Short(reason) + "; the balance does not cover every other."
            : reason;
    }

    private static string Short(string sentence) => sentence[..^1];

    private static ApiException Unavailable() =>
        new(ApiErrorCodes.ProviderUnavailable, "No permitted provider answered.")
        {
            RetryAfterSeconds = RetryAfterSeconds,
        };

    /// <summary>What rules a model out, as the end of a sentence; null for nothing.</summary>
    private static string? Obstacle(CatalogEntry entry, RouteRequest request)
    {
        if (!PrivacyGate.Permits(request.PrivacyClass, entry.Privacy))
        {
            return $"the privacy class {request.PrivacyClass.Word()}";
        }

        if (request.BuiltInOnly && !entry.Model.IsBuiltIn)
        {
            return "the test key, which reaches built-in models only";
        }

        return HasAll(entry.Model, request.Needs)
            ? null
            : "the lack of " + string.Join(", ", request.Needs.Where(need => !entry.Model.Capabilities.Contains(need)));
    }

    private ApiException NothingPermitted(RouteRequest request, bool builtIn)
    {
        var text = new StringBuilder("No model is permitted: ");
        var obstacles = catalog.Entries
            .Where(entry => !entry.Model.IsBuiltIn || builtIn)
            .Select(entry => Obstacle(entry, request))
            .GroupBy(obstacle => obstacle, StringComparer.Ordinal)
            .Select(group => $"{group.Count()} ruled out by {group.Key}");
        return new ApiException(
            ApiErrorCodes.NoPermittedRoute,
            text.AppendJoin("; ", obstacles.DefaultIfEmpty("none is configured")).Append('.').ToString());
    }

    private readonly record struct Rank(bool Fits, bool IsAffordable, double Score, decimal Price, string Id)
    {
        internal bool IsBefore(in Rank other)
        {
            if (Fits != other.Fits)
            {
                return Fits;
            }

            if (IsAffordable != other.IsAffordable)
            {
                return IsAffordable;
            }

            var byScore = Score.CompareTo(other.Score);
            var byPrice = byScore != 0 ? byScore : Price.CompareTo(other.Price);
            return byPrice != 0 ? byPrice < 0 : string.CompareOrdinal(Id, other.Id) < 0;
        }
    }
}
