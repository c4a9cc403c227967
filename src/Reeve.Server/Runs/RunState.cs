using System.Text;
using System.Text.Json;
using Reeve.Server.Credits;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Runs;

internal static class RunStatuses
{
    internal const string Queued = "queued";
    internal const string Running = "running";
    internal const string RequiresAction = "requires_action";
    internal const string Completed = "completed";
    internal const string Failed = "failed";
    internal const string Cancelled = "cancelled";

    internal static readonly string[] All = [Queued, Running, RequiresAction, Completed, Failed, Cancelled];

    internal static bool IsTerminal(string status) => status is Completed or Failed or Cancelled;
}

/// <summary>
/// What a run's log says so far: events go in, in their order, and every projection reads from here. It has no clock,
/// no ids and no I/O, so the same log gives the same state anywhere.
/// </summary>
internal sealed class RunState(string runId, CreditOptions credits)
{
    private readonly StringBuilder _output = new();
    private readonly List<RunStep> _steps = [];
    private readonly List<RunToolCall> _toolCalls = [];
    private readonly List<RunAttempt> _attempts = [];
    private int? _hedged; // The call beside which another route was asked.
    private int? _stepStart; // Where in the output the open step's own text begins; what follows is all its.

    internal string RunId { get; } = runId;

    internal RunAdmitted Admitted { get; private set; } = null!;

    internal string Status { get; private set; } = RunStatuses.Queued;

    internal bool IsTerminal => RunStatuses.IsTerminal(Status);

    internal PrivacyClass PrivacyClass { get; private set; }

    internal DateTimeOffset CreatedAt { get; private set; }

    internal DateTimeOffset? StartedAt { get; private set; }

    internal DateTimeOffset? FinishedAt { get; private set; }

    /// <summary>
    /// Time that an owner spent on the run, up to the newest event; waiting and server-less time left out.
    /// </summary>
    internal TimeSpan Active { get; private set; }

    internal DateTimeOffset NewestAt { get; private set; }

    internal RunFailed? Failure { get; private set; }

    internal IReadOnlyList<RunSource> Sources { get; private set; } = [];

    internal IReadOnlyList<RunToolCall> ToolCalls => _toolCalls;

    /// <summary>The finished steps: what each model call said and what its tools answered.</summary>
    internal IReadOnlyList<RunStep> Steps => _steps;

    /// <summary>The call whose end is not written yet, with the time of its start.</summary>
    internal (ModelCallStarted Call, DateTimeOffset At)? OpenCall { get; private set; }

    /// <summary>
    /// A second call beside the open one, until one of the two has ended: the other is the open one then.
    /// </summary>
    internal (ModelCallStarted Call, DateTimeOffset At)? OpenHedge { get; private set; }

    /// <summary>The newest call that was started, also one that has ended; not a hedge before it is alone.</summary>
    internal ModelCallStarted? NewestCall { get; private set; }

    /// <summary>Why the newest call went where it did, in words for callers.</summary>
    internal string? RouteReason => NewestCall is { } call && call.Call == _hedged
        ? call.Reason + " The call was hedged."
        : NewestCall?.Reason;

    /// <summary>How the newest call ended that completed.</summary>
    internal ModelCallEnd? NewestEnd { get; private set; }

    /// <summary>Hash of the vectors of an embedding run; null before it has them.</summary>
    internal string? VectorsSha256 { get; private set; }

    /// <summary>True when the newest step is an answer and nothing was made of it yet.</summary>
    internal bool IsAnswered { get; private set; }

    internal int CallCount { get; private set; }

    /// <summary>How often an owner was lost since the run last got a tool's answer.</summary>
    internal int RecoveryCount { get; private set; }

    /// <summary>True while the run waits for its next owner after a clean stop.</summary>
    internal bool IsReleased { get; private set; }

    /// <summary>The calls that have ended, in their order.</summary>
    internal IReadOnlyList<RunAttempt> Attempts => _attempts;

    internal HashSet<RouteKey> FailedRoutes { get; } = [];

    internal bool SchemaRetried { get; private set; }

    internal long InputTokens { get; private set; }

    internal long OutputTokens { get; private set; }

    /// <summary>Exact upstream cost in micro-USD of the calls that the run pays.</summary>
    internal decimal Upstream { get; private set; }

    /// <summary>Micro-USD charged so far.</summary>
    internal long Charged { get; private set; }

    /// <summary>What was charged, parted into upstream cost and margin.</summary>
    internal Bill Bill => Bill.For(Upstream, credits).Charged(Charged);

    internal string Output => _output.ToString();

    /// <summary>Of <see cref="Output"/>, which is put together anew each time that it is read.</summary>
    internal int OutputLength => _output.Length;

    internal bool HasOutput => _output.Length > 0;

    /// <summary>The text of the open step alone.</summary>
    internal string OpenText => _stepStart is { } start ? _output.ToString(start, _output.Length - start) : "";

    /// <summary>The tool calls that the newest step asked for and that have no result yet.</summary>
    internal IEnumerable<RunToolCall> PendingToolCalls =>
        _steps.Count == 0 ? [] : _steps[^1].ToolCalls.Where(call => !call.IsFinished);

    internal void Apply(RunEvent entry)
    {
        if (StartedAt is not null && entry.Data is not RunRecovered)
        {
            Active += entry.At - NewestAt;
        }

        NewestAt = entry.At;
        switch (entry.Data)
        {
            case RunAdmitted admitted:
                Admitted = admitted;
                CreatedAt = entry.At;
                PrivacyClass = PrivacyClasses.Parse(admitted.PrivacyClass);
                Begin(admitted.Queued ? null : entry.At);
                break;
            case RunBegun:
                Begin(entry.At);
                break;
            case RunReleased:
                IsReleased = true;
                break;
            case RunRecovered:
                RecoveryCount += IsReleased ? 0 : 1;
                IsReleased = false;
                foreach (var call in _toolCalls.Where(static one => !one.IsFinished))
                {
                    call.IsOutcomeUnknown = !call.IsIdempotent;
                }

                break;
            case SourcesFound found:
                Sources = found.Sources;
                break;
            case SourcesQuoted quoted:
                Sources = [.. Sources.Select(source => Quoted(source, quoted))];
                break;
            case PrivacyRaised raised:
                PrivacyClass = PrivacyClasses.Parse(raised.PrivacyClass);
                break;
            case ModelCallStarted { Hedge: true } started:
                OpenHedge = (started, entry.At);
                CallCount = started.Call;
                _hedged = NewestCall!.Call;
                break;
            case ModelCallStarted started:
                OpenCall = (started, entry.At);
                NewestCall = started;
                CallCount = started.Call;
                break;
            case MessageDelta delta:
                _stepStart ??= delta.OutsideStep ? null : _output.Length;
                _output.Append(delta.Text);
                break;
            case OutputReset reset:
                _output.Clear();
                _stepStart = null;
                SchemaRetried |= reset.Reason == "schema_retry";
                IsAnswered = false;
                break;
            case ModelCallFinished finished:
                Finish(finished);
                break;
            case ToolCallStarted started:
                _toolCalls.Add(Find(started.Id));
                _toolCalls[^1].IsIdempotent = started.Idempotent;
                break;
            case ToolCallFinished finished:
                Finish(finished);
                break;
            default:
                End(entry);
                break;
        }
    }

    private static RunSource Quoted(RunSource source, SourcesQuoted quoted) =>
        quoted.Quotes.FirstOrDefault(quote => quote.ChunkId == source.ChunkId) is { } found
            ? source with { Start = found.Start, End = found.End, Quote = found.Quote }
            : source;

    private void Begin(DateTimeOffset? at)
    {
        StartedAt = at;
        Status = at is null ? RunStatuses.Queued : RunStatuses.Running;
    }

    private void Finish(ModelCallFinished finished)
    {
        var ended = NewestCall!;
        if (finished.Call == OpenHedge?.Call.Call)
        {
            ended = OpenHedge.Value.Call;
        }
        else
        {
            OpenCall = OpenHedge;
            NewestCall = OpenHedge?.Call ?? ended;
        }

        OpenHedge = null;
        InputTokens += finished.InputTokens;
        OutputTokens += finished.OutputTokens;
        Upstream += finished.Upstream;
        Charged += finished.Charged;
        VectorsSha256 = finished.VectorsSha256;
        _attempts.Add(new RunAttempt(ended.Model, finished.Outcome));
        if (finished.Outcome == "completed")
        {
            _steps.Add(new RunStep(OpenText, [.. finished.ToolCalls.Select(call => new RunToolCall(call))]));
            _stepStart = null;
            IsAnswered = finished.ToolCalls.Count == 0;
            NewestEnd = new ModelCallEnd(finished.FinishReason, ended.CutByCredits);
        }
        else if (finished.Outcome == "failed")
        {
            FailedRoutes.Add(new RouteKey(ended.Model, ended.Provider));
        }
    }

    private void Finish(ToolCallFinished finished)
    {
        var call = Find(finished.Id);
        call.Finish(finished.Result, finished.IsError);
        RecoveryCount = call.IsOutcomeUnknown ? RecoveryCount : 0; // To say that nobody knows is no progress.
    }

    private void End(RunEvent entry)
    {
        if (!entry.IsTerminal)
        {
            return;
        }

        FinishedAt = entry.At;
        Failure = entry.Data as RunFailed;
        Status = entry.Data switch
        {
            RunCompleted => RunStatuses.Completed,
            RunFailed => RunStatuses.Failed,
            _ => RunStatuses.Cancelled,
        };
    }

    private RunToolCall Find(string id) =>
        _steps.SelectMany(step => step.ToolCalls).First(call => call.Id == id);
}

/// <summary>A call that has ended: the model that was asked, and the outcome as in the log.</summary>
internal sealed record RunAttempt(string Model, string Outcome);

/// <summary>What the end of a run depends on in the end of its last call.</summary>
internal sealed record ModelCallEnd(string? FinishReason, bool CutByCredits);

/// <summary>A finished model call: its text and the tool calls that it asked for.</summary>
internal sealed record RunStep(string Text, IReadOnlyList<RunToolCall> ToolCalls);

/// <summary>A tool call with its result, once there is one.</summary>
internal sealed class RunToolCall(RequestedToolCall request)
{
    internal string Id => request.Id;

    internal string Tool => request.Tool;

    internal string Action => request.Action;

    internal JsonElement Params => request.Params;

    internal string ArgumentsText => request.ArgumentsText;

    /// <summary>What the tool promised when the call was made: that it may be made again.</summary>
    internal bool IsIdempotent { get; set; }

    /// <summary>True: an owner was lost while the call was made, and it must not be made again.</summary>
    internal bool IsOutcomeUnknown { get; set; }

    internal bool IsFinished { get; private set; }

    internal JsonElement Result { get; private set; }

    internal bool IsError { get; private set; }

    internal string Summary => IsFinished ? ToolSummary.Of(Result) : "";

    internal void Finish(JsonElement result, bool isError)
    {
        (IsFinished, Result, IsError) = (true, result, isError);
    }
}
