using Reeve.Server.Credits;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Inference.Providers.Builtin;
using Reeve.Server.Privacy;

namespace Reeve.Server.Runs;

/// <summary>The route of one model call with what it may cost: decided before a hold is taken.</summary>
internal sealed record PlannedCall(Inference.Route Route, int OutputTokensMax, bool CutByCredits, long Hold)
{
    /// <summary>The class that the route was chosen for.</summary>
    internal required PrivacyClass PrivacyClass { get; init; }

    internal required int PromptTokens { get; init; }

    /// <summary>True when it is made beside the open call.</summary>
    internal bool IsHedge { get; init; }

    internal PlannedCall AsHedgeOf(PlannedCall first) => this with
    {
        IsHedge = true,
        Route = Route with { Reason = $"The call was hedged: {first.Route.Model.Id} gave no first token in time." },
    };

    internal ModelCallStarted Started(int call) => new()
    {
        Call = call,
        Model = Route.Model.Id,
        Provider = Route.Model.Provider,
        Reason = Route.Reason,
        Hold = Hold,
        PromptTokens = PromptTokens,
        OutputTokensMax = OutputTokensMax,
        CutByCredits = CutByCredits,
        Hedge = IsHedge,
    };
}

/// <summary>Chooses the route of a call and sizes its hold (wire-mesh 1.6).</summary>
internal sealed class RunPlanner(ModelRouter router, CreditOptions credits)
{
    internal PlannedCall Plan(RunContext context, CallQuestion question)
    {
        var outputTokensMax = context.OutputTokensMax;
        var isListed = !question.UseBuiltIn && context.Chat is not null;
        var route = router.Choose(new RouteRequest
        {
            Model = question.UseBuiltIn ? QuoteModel.Id : context.Config.Model,
            Fallbacks = isListed ? context.Chat!.Fallbacks : [],
            CheapestOfFallbacks = isListed && context.Chat!.CheapestOfFallbacks,
            PrivacyClass = question.PrivacyClass,
            BuiltInOnly = question.BuiltInOnly,
            Needs = Needs(context),
            HasImages = context.Chat is { HasImages: true },
            PromptTokens = question.FixedTokens,
            OutputTokensMax = outputTokensMax,
            AvailableMicroUsd = question.Available,
            MarginRate = credits.MarginRate,
            Excluded = question.Excluded,
        });
        var model = route.Model;
        var outputMax = Math.Min(outputTokensMax, model.OutputTokensMax);
        var promptTokens = question.FixedTokens
            + PromptBuilder.HistoryTokens(context, model.ContextTokens - outputMax - question.FixedTokens);
        var hold = Hold(question.UpstreamSoFar, model, promptTokens, outputMax);
        if (question.CreditsMax is not { } cap || hold <= cap - question.ChargedSoFar)
        {
            return new PlannedCall(route, outputMax, false, hold)
            {
                PrivacyClass = question.PrivacyClass,
                PromptTokens = promptTokens,
            };
        }

        // The hold is a whole number that grows with the output: the largest one under the cap is found by halving.
        var (low, high) = (0, outputMax);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            var fits = Hold(question.UpstreamSoFar, model, promptTokens, middle) <= cap - question.ChargedSoFar;
            (low, high) = fits ? (middle, high) : (low, middle - 1);
        }

        return low == 0
            ? throw new ApiException(ApiErrorCodes.RunLimitExceeded,
                "What is left under max_credits does not cover the prompt.", "max_credits")
            : new PlannedCall(route, low, true, Hold(question.UpstreamSoFar, model, promptTokens, low))
            {
                PrivacyClass = question.PrivacyClass,
                PromptTokens = promptTokens,
            };
    }

    private static HashSet<string> Needs(RunContext context)
    {
        var needs = new HashSet<string>(
            context.Embedding?.Needs ?? context.Chat?.Needs ?? [], StringComparer.Ordinal);
        if (context.Config.Tools.Count > 0)
        {
            needs.Add(Capabilities.Tools);
        }

        if (context.OutputSchema is not null)
        {
            needs.Add(Capabilities.StructuredOutput);
        }

        return needs;
    }

    private long Hold(decimal upstreamSoFar, Model model, int promptTokens, int outputTokens) =>
        Bill.Step(upstreamSoFar, Price.UpstreamMax(model, promptTokens, outputTokens), credits);
}

/// <summary>What the planner must know of the run so far.</summary>
internal sealed record CallQuestion
{
    internal required PrivacyClass PrivacyClass { get; init; }

    internal required bool BuiltInOnly { get; init; }

    internal required int FixedTokens { get; init; }

    internal required long? Available { get; init; }

    internal required long? CreditsMax { get; init; }

    internal decimal UpstreamSoFar { get; init; }

    internal long ChargedSoFar { get; init; }

    /// <summary>True when every permitted provider failed and the agent allows the built-in model instead.</summary>
    internal bool UseBuiltIn { get; init; }

    internal IReadOnlySet<RouteKey> Excluded { get; init; } = new HashSet<RouteKey>();
}
