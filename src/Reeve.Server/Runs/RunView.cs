using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Inference;

namespace Reeve.Server.Runs;

/// <summary>A run as an API may show it, whether folded from the log or read from the copy that lists use.</summary>
internal sealed record RunView
{
    internal required string RunId { get; init; }

    internal required RunAdmitted Admitted { get; init; }

    /// <summary>The request that started the run; null where only the log is at hand.</summary>
    internal required string? RequestId { get; init; }

    internal required string Status { get; init; }

    internal required string PrivacyClass { get; init; }

    internal required string Output { get; init; }

    internal required RunOutcome Outcome { get; init; }

    /// <summary>Micro-USD.</summary>
    internal required long Charged { get; init; }

    internal required RunFailed? Failure { get; init; }

    internal required DateTimeOffset CreatedAt { get; init; }

    internal required DateTimeOffset? StartedAt { get; init; }

    internal required DateTimeOffset? FinishedAt { get; init; }

    /// <summary>True when it is encrypted at rest, so that no other place may hold what it says.</summary>
    internal bool IsSealed { get; init; }

    internal bool IsTerminal => RunStatuses.IsTerminal(Status);

    internal long? DurationMilliseconds => FinishedAt is { } finished
        ? (long)(finished - CreatedAt).TotalMilliseconds
        : null;

    internal static RunView Of(RunState state, RunHead? head) => new()
    {
        RunId = state.RunId,
        Admitted = state.Admitted,
        RequestId = head?.RequestId,
        Status = state.Status,
        PrivacyClass = Privacy.PrivacyClasses.Word(state.PrivacyClass),
        Output = state.Output,
        Outcome = RunOutcome.Of(state),
        Charged = state.Charged,
        Failure = state.Failure,
        CreatedAt = state.CreatedAt,
        StartedAt = state.StartedAt,
        FinishedAt = state.FinishedAt,
        IsSealed = head?.IsSealed ?? false,
    };

    /// <summary>The error that a caller who waited for the run gets instead of a body.</summary>
    internal ApiException Error(bool asReplay) => new(
        ApiErrorCodes.Find(Failure!.Code), Failure.Message, Failure.Param)
    {
        RunId = RunId,
        ConversationId = Admitted.ConversationId,
        RetryAfterSeconds = Failure.RetryAfterSeconds,
        IsFinal = Charged > 0 || Failure.Cause == nameof(ProviderFault.BadRequest),
        RequestId = asReplay ? RequestId : null,
    };
}

/// <summary>What a run came to, beside its text: stored with the run's row when it ends.</summary>
internal sealed record RunOutcome
{
    public required IReadOnlyList<RunSource> Sources { get; init; }

    public required IReadOnlyList<ShownToolCall> ToolCalls { get; init; }

    public required ShownUsage Usage { get; init; }

    /// <summary>Null where what is stored of the run cannot be read.</summary>
    public required string? Tier { get; init; }

    public required string? Model { get; init; }

    public required string? Provider { get; init; }

    public required string? RouteReason { get; init; }

    public RunFailed? Failure { get; init; }

    public required long Upstream { get; init; }

    public required long Margin { get; init; }

    /// <summary>Of a run of which nothing can be read.</summary>
    internal static RunOutcome Unknown { get; } = new()
    {
        Sources = [],
        ToolCalls = [],
        Usage = new ShownUsage(0, 0),
        Tier = null,
        Model = null,
        Provider = null,
        RouteReason = null,
        Upstream = 0,
        Margin = 0,
    };

    internal static RunOutcome Of(RunState state) => new()
    {
        Sources = state.Sources,
        ToolCalls = [.. state.ToolCalls.Select(call => new ShownToolCall(
            call.Id, call.Tool, call.Action, call.Params, call.Summary, call.IsError))],
        Usage = new ShownUsage(state.InputTokens, state.OutputTokens),
        Tier = state.Admitted.Tier,
        Model = state.NewestCall?.Model,
        Provider = state.NewestCall?.Provider,
        RouteReason = state.RouteReason,
        Failure = state.Failure,
        Upstream = state.Bill.Upstream,
        Margin = state.Bill.Margin,
    };
}

internal sealed record ShownToolCall(
    string Id, string Tool, string Action, JsonElement Params, string ResultSummary, bool IsError);

internal sealed record ShownUsage(long InputTokens, long OutputTokens);
