using Reeve.Server.Agents;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>What answers a chat: an agent, or models in an order (<c>model</c>, <c>models</c>, <c>route</c>).</summary>
internal sealed record ChatRoute
{
    /// <summary><c>agent</c>, a router mode, <c>fallback</c> or <c>direct</c>.</summary>
    internal required string Mode { get; init; }

    internal string? Agent { get; init; }

    internal string? Model { get; init; }

    internal IReadOnlyList<string> Fallbacks { get; init; } = [];

    internal bool IsCheapest { get; init; }

    /// <summary>The names as the answer shows them.</summary>
    internal required IReadOnlyList<string> Chain { get; init; }

    internal static ChatRoute Read(RequestObject body, ModelCatalog catalog, int modelsMax)
    {
        var named = body.String("model", 1, 256);
        var models = body.Strings("models", modelsMax, 256) ?? [];
        var order = body.Word("route", "auto", "fallback");
        if (named is not null && IsAgent(named))
        {
            return models.Count == 0
                ? new ChatRoute { Mode = "agent", Agent = named, Chain = [named] }
                : throw body.Wrong("models", "cannot be given where model names an agent, which has its own");
        }

        string[] names = named is null && models.Count > 0 ? [.. models] : [named ?? RouterModes.Auto, .. models];
        for (var i = 0; i < names.Length; i++)
        {
            var inModels = names.Length - i <= models.Count;
            if ((inModels || !ModelCatalog.IsRouterMode(names[i])) && catalog.Find(names[i]) is null)
            {
                throw ApiException.NotFound("model",
                    inModels ? $"models[{i - (names.Length - models.Count)}]" : "model");
            }
        }

        var isMode = ModelCatalog.IsRouterMode(names[0]);
        var isCheapest = order == "auto" && names.Length > 1;
        if (isCheapest && isMode)
        {
            names = names[1..]; // The mode has nothing to add to "the cheapest of these".
        }

        return new ChatRoute
        {
            Mode = isCheapest ? "auto" : names.Length > 1 ? "fallback" : isMode ? names[0] : "direct",
            Model = names[0],
            Fallbacks = names[1..],
            IsCheapest = isCheapest,
            Chain = [.. names.Select(name => catalog.Find(name)?.Model.Id ?? name)],
        };
    }

    /// <summary>A model that was named must be able to do what is asked; a mode or a list passes over it.</summary>
    internal void RequireAble(ChatRequest chat, ModelCatalog catalog)
    {
        if (Mode != "direct" || catalog.Find(Model!) is not { } entry)
        {
            return;
        }

        if (chat.HasImageUrls && !entry.Model.TakesImageUrls)
        {
            throw ApiException.Invalid(
                $"The model {entry.Model.Id} fetches no images; send them as data: URLs.", "messages");
        }

        if (chat.Needs.Where(need => !entry.Model.Capabilities.Contains(need)).ToList() is { Count: > 0 } lacking)
        {
            throw ApiException.Invalid(
                $"The model {entry.Model.Id} cannot do what the request needs: {string.Join(", ", lacking)}.", "model");
        }
    }

    private static bool IsAgent(string name) =>
        AgentReference.TryParse(name, out var reference) && reference.Id is not null;
}
