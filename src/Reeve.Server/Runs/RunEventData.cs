using System.Text.Json;
using System.Text.Json.Serialization;

namespace Reeve.Server.Runs;

/// <summary>What happened in a run: a closed family, one record a type. Types and members are never reused.</summary>
internal abstract record RunEventData;

/// <summary>Always first: all that admission fixed.</summary>
internal sealed record RunAdmitted : RunEventData
{
    /// <summary>The version of the projections that the run's streams follow for ever.</summary>
    public int Projection { get; init; } = 1;

    public required string? AgentId { get; init; }

    public required int? AgentVersion { get; init; }

    public required string? ConversationId { get; init; }

    public required string UserMessageId { get; init; }

    public required string MessageId { get; init; }

    public required string ReceiptId { get; init; }

    public required string Kind { get; init; }

    /// <summary>The router mode asked for, or <c>direct</c> when the agent names a model.</summary>
    public required string Tier { get; init; }

    public required string Mode { get; init; }

    public required string PrivacyClass { get; init; }

    public required string Input { get; init; }

    public required JsonElement? User { get; init; }

    public required JsonElement? Metadata { get; init; }

    public required RunOptions Options { get; init; }

    /// <summary>Of a run of the kind <c>chat</c> alone.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ChatAdmitted? Chat { get; init; }

    /// <summary>Of a run of the kind <c>embedding</c> alone.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public EmbeddingAdmitted? Embedding { get; init; }

    public required bool Queued { get; init; }

    /// <summary>False: only the caller who waits takes the answer, and nobody can come back for it.</summary>
    internal bool HasConversation => Kind == RunKinds.Agent;
}

/// <summary>A queued run's turn came.</summary>
internal sealed record RunBegun : RunEventData;

/// <summary>The owner let the run go because its server stops; whoever takes it over mends no crash.</summary>
internal sealed record RunReleased : RunEventData;

/// <summary>Another owner took the run over: after a crash or a fault, or after it was let go.</summary>
internal sealed record RunRecovered : RunEventData;

/// <summary>Whole turns of history were left out so that the prompt fits the model.</summary>
internal sealed record ContextTrimmed(int Turns) : RunEventData;

/// <summary>The chunks before the model, best first; the newest such event holds.</summary>
internal sealed record SourcesFound(IReadOnlyList<RunSource> Sources) : RunEventData;

/// <summary>The passages of sources that support the answer, found when it was whole.</summary>
internal sealed record SourcesQuoted(IReadOnlyList<QuotedSource> Quotes) : RunEventData;

/// <summary>Something that the run read is of a stricter class.</summary>
internal sealed record PrivacyRaised(string PrivacyClass) : RunEventData;

/// <summary>The intent of a model call, committed before a byte leaves.</summary>
internal sealed record ModelCallStarted : RunEventData
{
    public required int Call { get; init; }

    public required string Model { get; init; }

    public required string Provider { get; init; }

    public required string Reason { get; init; }

    /// <summary>Micro-USD reserved.</summary>
    public required long Hold { get; init; }

    /// <summary>Of the prompt, as estimated for the hold.</summary>
    public required int PromptTokens { get; init; }

    public required int OutputTokensMax { get; init; }

    /// <summary>True when <c>max_credits</c> made <see cref="OutputTokensMax"/> smaller.</summary>
    public required bool CutByCredits { get; init; }

    /// <summary>True for a second route, asked while the call before it is open and has said nothing yet.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Hedge { get; init; }
}

/// <summary>A piece of the answer, 1-4,096 chars, as the provider sent it.</summary>
internal sealed record MessageDelta(string Text) : RunEventData
{
    /// <summary>
    /// True for text that the open model call did not write: the blank line between two steps, and the text of earlier
    /// steps said again after a reset.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool OutsideStep { get; init; }
}

/// <summary>A model call ended: how, what it used and what was charged for it.</summary>
internal sealed record ModelCallFinished : RunEventData
{
    public required int Call { get; init; }

    /// <summary><c>completed</c>, <c>failed</c>, <c>interrupted</c>, <c>cancelled</c> or <c>abandoned</c>.</summary>
    public required string Outcome { get; init; }

    /// <summary>For a failed call, the provider's fault in one word.</summary>
    public string? Fault { get; init; }

    public required long InputTokens { get; init; }

    public required long OutputTokens { get; init; }

    /// <summary>The part of the input that the provider read from its cache.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long CachedInputTokens { get; init; }

    /// <summary>The part of the input that the provider wrote to its cache.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long CacheWriteTokens { get; init; }

    /// <summary>True when the provider reported no usage and our tokenizer counted.</summary>
    public required bool Estimated { get; init; }

    /// <summary>Exact cost in micro-USD that the run owes for it; 0 for a lost attempt.</summary>
    public required decimal Upstream { get; init; }

    /// <summary>Micro-USD charged.</summary>
    public required long Charged { get; init; }

    /// <summary>Micro-USD that the operator bears: a lost attempt, or what is due beyond hold and balance.</summary>
    public required long Lost { get; init; }

    public string? FinishReason { get; init; }

    public IReadOnlyList<RequestedToolCall> ToolCalls { get; init; } = [];

    /// <summary>
    /// Of a call for embeddings: SHA-256 of its vectors one after another, each number as four bytes, little-endian.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? VectorsSha256 { get; init; }
}

internal sealed record RequestedToolCall(string Id, string Tool, string Action, JsonElement Params)
{
    /// <summary>
    /// What the model wrote in the place of arguments, where that is no JSON object; of a caller's function alone.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Written { get; init; }

    /// <summary>The arguments as the model wrote them, good or not.</summary>
    internal string ArgumentsText => Written ?? Params.GetRawText();
}

/// <summary>The intent of a tool call, committed before it is made.</summary>
internal sealed record ToolCallStarted(string Id, string Tool, string Action, JsonElement Params) : RunEventData
{
    /// <summary>SHA-256 of the canonical arguments.</summary>
    public required string ParamsSha256 { get; init; }

    public required bool Idempotent { get; init; }
}

internal sealed record ToolCallFinished(string Id, string Tool, JsonElement Result, bool IsError) : RunEventData;

/// <summary>Drop all text so far. Reasons as in wire-mesh 2.2.</summary>
internal sealed record OutputReset(string Reason) : RunEventData;

internal sealed record RunCompleted : RunEventData;

internal sealed record RunFailed(string Code, string Message) : RunEventData
{
    public string? Param { get; init; }

    public int? RetryAfterSeconds { get; init; }

    /// <summary>For the operator, such as <c>poisoned</c>.</summary>
    public string? Cause { get; init; }
}

internal sealed record RunCancelled : RunEventData;

/// <summary>A chunk that the run used; what <c>sources</c> and <c>citations</c> are made of.</summary>
internal sealed record RunSource(
    string DocumentId, string ChunkId, double Score, string Name, int? Page, int Start, int End, string? Quote);

/// <summary>The passage of a source, with its place in the document's text.</summary>
internal sealed record QuotedSource(string ChunkId, int Start, int End, string Quote);

/// <summary>What the caller fixed for the run beside its input.</summary>
internal sealed record RunOptions
{
    /// <summary>Micro-USD, the lower of the request's and the agent's cap.</summary>
    public long? CreditsMax { get; init; }

    public JsonElement? OutputSchema { get; init; }

    /// <summary>True: the caller waits for JSON, so the provider may be asked for one whole answer.</summary>
    public bool Whole { get; init; }

    public bool CancelOnDisconnect { get; init; }
}
