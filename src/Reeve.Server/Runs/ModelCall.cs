using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
using Reeve.Server.Inference.Providers;

namespace Reeve.Server.Runs;

/// <summary>
/// One attempt at a model: asks it, reads what the provider sends and turns it into events. Text goes to the log as it
/// comes; what only the end tells (usage, tool calls) is kept here.
/// </summary>
#pragma warning disable CA1001 // Who leaves disposes of what it holds, once the provider has let go.
internal sealed class ModelCall(
    RunLog log, LiveRun run, RunContext context, PlannedCall plan, MaskedCall? masked, TimeProvider time,
    Failpoints failpoints)
#pragma warning restore CA1001
{
    private const int UnawaitedAppendsMax = 64;

    /// <summary>
    /// An answer that nobody follows is asked for whole while it has so many tokens at most. A longer one would be one
    /// silence of perhaps minutes, in which nobody knows whether the provider lives; it is streamed and kept together.
    /// </summary>
    private const int WholeTokensMax = 512;

    private readonly DeltaSplitter _splitter = new();
    private readonly SourceIdFilter? _ids = !context.HasDocuments || plan.Route.Model.IsBuiltIn
        ? null // The built-in model quotes documents, whatever ids stand in them.
        : new SourceIdFilter(id => Known(run, context, id)?.ChunkId, run.State.Admitted.Input);

    private readonly StringBuilder _text = new();
    private readonly StringBuilder _unsaid = new();
    private readonly List<RequestedToolCall> _toolCalls = [];
    private readonly List<RunSource> _cited = [];
    private readonly List<ChatResponseUpdate> _begun = [];
    private IAsyncEnumerator<ChatResponseUpdate>? _updates;
    private ChatResponse? _response;
    private readonly TaskCompletionSource _sign = new();
    private CancellationTokenSource? _leaving;
    private CancellationTokenRegistration _runLeaves;
    private bool _isLeft;
    private Task _newestAppend = Task.CompletedTask;
    private int _unawaited;

    internal PlannedCall Plan => plan;

    internal RouteKey Route => new(plan.Route.Model.Id, plan.Route.Model.Provider);

    internal required Prompt Prompt { get; init; }

    /// <summary>The messages as they leave: those of the prompt, masked where they must be.</summary>
    internal required IReadOnlyList<ChatMessage> Messages { get; init; }

    internal required ChatOptions Options { get; init; }

    /// <summary>Null when the provider may not be asked now.</summary>
    internal required ProviderVisit? Visit { get; init; }

    internal long AskedAt { get; private set; }

    /// <summary>Ends with the first token, with the whole answer where one was asked for, or with the fault.</summary>
    internal Task Begun { get; private set; } = Task.CompletedTask;

    /// <summary>Ends with the first word of any kind from the provider, or with the fault.</summary>
    internal Task Sign => Task.WhenAny(_sign.Task, Begun).Unwrap();

    /// <summary>Why it gave no first token, once the provider has failed to.</summary>
    internal ProviderException? FaultAtStart => Begun.Exception?.InnerException as ProviderException;

    internal IReadOnlyList<RequestedToolCall> ToolCalls => _toolCalls;

    internal ChatFinishReason? FinishReason { get; private set; }

    internal UsageDetails? Usage { get; private set; }

    /// <summary>
    /// Tokens that came with the first piece and after it: those thought before it are none of them. What the provider
    /// was silent about is counted by our tokenizer.
    /// </summary>
    internal long StreamedTokens => Usage is { OutputTokenCount: > 0 and var output } usage
        ? output - (usage.ReasoningTokenCount ?? 0)
        : CountOutput();

    /// <summary>Timestamp of the first piece of a stream.</summary>
    internal long? FirstTokenAt { get; private set; }

    internal string Text => _unsaid.Length == 0 ? _text.ToString() : $"{_text}{_unsaid}";

    /// <summary>Events that wait for the step's last append.</summary>
    internal List<RunEventData> Unwritten { get; } = [];

    /// <summary>Those of them that say nothing which was not held against its sources where it had to be.</summary>
    internal IReadOnlyList<RunEventData> UnwrittenUnchecked => context.Config.StrictCitations
        ? Unwritten.FindAll(static data => data is not MessageDelta)
        : Unwritten;

    /// <summary>True once there is text that a caller may have seen.</summary>
    internal bool HasSpoken => _text.Length > 0;

    /// <summary>True once the provider has given text, whether or not a caller may have seen it.</summary>
    internal bool HasHeard { get; private set; }

    /// <summary>True once it is asked for its answer in pieces.</summary>
    internal bool IsStreamed => _updates is not null;

    /// <summary>False where nobody reads along, or may not before the answer was held against its sources.</summary>
    private bool IsFollowed => !run.State.Admitted.Options.Whole && !context.Config.StrictCitations;

    /// <summary>
    /// Asks the model. Until <see cref="ReadAsync"/> it touches nothing of the run, so two can be asked at a time.
    /// </summary>
    internal void Ask(CancellationToken cancellationToken)
    {
        _leaving = new CancellationTokenSource();
        _runLeaves = cancellationToken.UnsafeRegister(
            static source => ((CancellationTokenSource)source!).Cancel(), _leaving);
        AskedAt = time.GetTimestamp();
        Begun = BeginAsync(_leaving.Token);
    }

    /// <summary>Reads the answer to its end.</summary>
    internal async Task ReadAsync()
    {
        await Begun;
        foreach (var message in _response?.Messages ?? [])
        {
            ReadContents(message.Contents);
        }

        foreach (var update in _begun)
        {
            await TakeAsync(update);
        }

        while (_updates is not null && await _updates.MoveNextAsync())
        {
            await TakeAsync(_updates.Current);
        }

        FinishReason ??= _response?.FinishReason;
        Usage ??= _response?.Usage;
        SayRest();
    }

    /// <summary>Parts it from its run, which goes on without it and may end; <see cref="Leave"/> ends it.</summary>
    internal void Part() => _runLeaves.Dispose();

    /// <summary>Lets go of the provider; what it still says, nobody hears.</summary>
    internal void Leave()
    {
        if (!_isLeft)
        {
            _isLeft = true;
            _runLeaves.Dispose();
            _leaving?.Cancel();
            _ = EndVisitAsync();
        }
    }

    /// <summary>The usage that the provider reported; what it was silent about is counted by our tokenizer.</summary>
    internal CallEnd Completed()
    {
        var end = Usage is { InputTokenCount: { } input, OutputTokenCount: { } output } usage
            ? new CallEnd("completed", input, output)
            {
                CachedInputTokens = usage.CachedInputTokenCount ?? 0,
                CacheWriteTokens = usage.AdditionalCounts?.GetValueOrDefault(UsageFigures.CacheWrittenKey) ?? 0,
            }
            : Counted("completed");
        if (end.OutputTokens == 0 && CountOutput() is > 0 and var counted)
        {
            end = end with { OutputTokens = counted, IsEstimated = true }; // No answer is made of no tokens.
        }

        return end with { FinishReason = FinishReason?.Value, ToolCalls = ToolCalls };
    }

    internal CallEnd Counted(string outcome) =>
        new(outcome, TokenCounter.CountPrompt(Prompt.Messages, null), CountOutput()) { IsEstimated = true };

    private int CountOutput() => TokenCounter.Count(Text)
        + ToolCalls.Sum(static asked => TokenCounter.Count(asked.ArgumentsText));

    private async Task BeginAsync(CancellationToken cancellationToken)
    {
        var model = plan.Route.Model;
        if (!IsFollowed && (model.IsBuiltIn || plan.OutputTokensMax <= WholeTokensMax
            || !model.Capabilities.Contains(Capabilities.Streaming)))
        {
            _response = await plan.Route.Client.GetResponseAsync(Messages, Options, cancellationToken);
            return;
        }

        _updates = plan.Route.Client.GetStreamingResponseAsync(Messages, Options, cancellationToken)
            .GetAsyncEnumerator(cancellationToken);
        while (await _updates.MoveNextAsync())
        {
            _sign.TrySetResult();
            _begun.Add(_updates.Current);
            if (_updates.Current.Contents.Any(static content =>
                content is TextContent { Text.Length: > 0 } or FunctionCallContent))
            {
                return;
            }
        }
    }

    private async Task EndVisitAsync()
    {
        try
        {
            await Begun;
            await (_updates?.DisposeAsync() ?? default);
        }
#pragma warning disable CA1031 // Whoever read the answer has its fault, and of a lost one nobody wants it.
        catch (Exception)
#pragma warning restore CA1031
        {
        }
        finally
        {
            Visit?.Dispose();
            _leaving?.Dispose();
        }
    }

    private async Task TakeAsync(ChatResponseUpdate update)
    {
        ReadContents(update.Contents);
        FinishReason = update.FinishReason ?? FinishReason;
        if (HasHeard)
        {
            FirstTokenAt ??= time.GetTimestamp();
        }

        if (Unwritten.Count > 0 && IsFollowed)
        {
            await AppendAsync();
        }
    }

    private async Task AppendAsync()
    {
        _newestAppend = log.AppendAsync(run, [.. Unwritten]);
        Unwritten.Clear();
        failpoints.Hit(Failpoints.LoopDelta);
        if (++_unawaited >= UnawaitedAppendsMax)
        {
            _unawaited = 0;
            await _newestAppend;
        }
    }

    private void ReadContents(IEnumerable<AIContent> contents)
    {
        foreach (var content in contents)
        {
            switch (content)
            {
                case TextContent text:
                    HasHeard |= text.Text.Length > 0;
                    Cite(text.Annotations);
                    Hear(masked is null ? text.Text : masked.Restore(text.Text));
                    break;
                case FunctionCallContent call:
                    Request(call);
                    break;
                case UsageContent usage:
                    Usage = usage.Details;
                    break;
                default:
                    break; // Reasoning and the like are not part of the answer.
            }
        }
    }

    /// <summary>
    /// Brings what was kept together, and what was held to see how it goes on, into the events that wait.
    /// </summary>
    internal void SayRest()
    {
        if (masked is not null)
        {
            Hear(masked.RestoreRest());
        }

        Say(_ids?.Flush() ?? "");
        foreach (var piece in _splitter.Push(_unsaid.ToString()))
        {
            SayPiece(piece);
        }

        _unsaid.Clear();
        if (_splitter.Flush() is { } rest)
        {
            SayPiece(rest);
        }
    }

    private void Hear(string text) => Say(_ids is null ? text : _ids.Push(text));

    private void Say(string text)
    {
        if (!IsFollowed)
        {
            _unsaid.Append(text);
            return;
        }

        foreach (var piece in _splitter.Push(text))
        {
            SayPiece(piece);
        }
    }

    private void SayPiece(string piece)
    {
        if (_text.Length == 0)
        {
            AnnounceSources();
            if (run.State.HasOutput)
            {
                Unwritten.Add(new MessageDelta("\n\n") { OutsideStep = true });
            }
        }

        _text.Append(piece);
        Unwritten.Add(new MessageDelta(piece));
    }

    // A model that quotes says itself what it used; for any other, all that was put before it counts as used.
    private void AnnounceSources()
    {
        if (plan.Route.Model.ReportsCitations || context.Chunks is not { Count: > 0 } chunks)
        {
            return;
        }

        var known = run.State.Sources;
        if (chunks.Any(chunk => known.All(source => source.ChunkId != chunk.Chunk.Id)))
        {
            Announce(chunks.Select(Source));
        }
    }

    private void Cite(IList<AIAnnotation>? annotations)
    {
        var before = _cited.Count;
        foreach (var citation in annotations?.OfType<CitationAnnotation>() ?? [])
        {
            if (citation.FileId is { } id && Known(run, context, id) is { } source
                && _cited.All(other => other.ChunkId != source.ChunkId))
            {
                _cited.Add(Quoted(source, citation.Snippet is { } quote && masked is not null
                    ? masked.RestoreWhole(quote) : citation.Snippet));
            }
        }

        if (_cited.Count > before)
        {
            Announce(_cited);
        }
    }

    /// <summary>The chunk of that id that was put before the model, by retrieval or by a tool.</summary>
    private static RunSource? Known(LiveRun run, RunContext context, string id) =>
        context.Chunks?.FirstOrDefault(chunk => IsSame(chunk.Chunk.Id, id)) is { } chunk
            ? Source(chunk)
            : run.State.Sources.FirstOrDefault(source => IsSame(source.ChunkId, id));

    private static bool IsSame(string left, string right) => left.Equals(right, StringComparison.OrdinalIgnoreCase);

    /// <summary>The source with the place of a quote that stands in its chunk; any other is none.</summary>
    private RunSource Quoted(RunSource source, string? quote) =>
        source.Quote is null && quote is { Length: > 0 } && CitationCheck.Chunks(context, run.State)
            .FirstOrDefault(chunk => chunk.ChunkId == source.ChunkId)?.Text is { } text
            && text.IndexOf(quote, StringComparison.Ordinal) is var at and >= 0
            ? CitationCheck.Place(source, text, at, quote)
            : source;

    /// <summary>The full list, best first: what the run's tools found, and these.</summary>
    private void Announce(IEnumerable<RunSource> sources)
    {
        var all = sources.Concat(run.State.Sources).DistinctBy(source => source.ChunkId)
            .OrderByDescending(source => source.Score).ToList();
        Unwritten.RemoveAll(data => data is SourcesFound);
        Unwritten.Insert(0, new SourcesFound(all));
    }

    private static RunSource Source(Retrieval.RetrievedChunk chunk) => new(chunk.Chunk.DocumentId, chunk.Chunk.Id,
        chunk.Score, chunk.Name, chunk.Chunk.Page, chunk.Chunk.Start, chunk.Chunk.End, null);

    private void Request(FunctionCallContent call)
    {
        var function = context.Tools.Find(call.Name);
        var number = run.State.ToolCalls.Count + _toolCalls.Count + 1;

        // A caller sends the ids of his calls back among those of other runs, and some providers take no id twice.
        var id = context.Chat is null ? $"call_{number}" : $"call_{run.RunId[(Id.Run.Length + 1)..]}_{number}";
        _toolCalls.Add(new RequestedToolCall(
            id, function?.Tool ?? call.Name, function?.Action ?? "",
            masked is null ? Arguments(call) : masked.Restore(Arguments(call)))
        {
            Written = function is null && context.IsForCaller(call.Name) ? Written(call) : null,
        });
    }

    // What is called is the caller's, so it is for the caller to read what the model made of the arguments, or what was
    // left of them where the answer was cut. To hand out none instead would have another call made than was asked for.
    private string? Written(FunctionCallContent call) =>
        call is { Exception: not null, RawRepresentation: string text } ? masked?.RestoreWhole(text) ?? text : null;

    private static JsonElement Arguments(FunctionCallContent call)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            foreach (var (name, value) in call.Arguments ?? new Dictionary<string, object?>())
            {
                writer.WritePropertyName(name);
                if (value is JsonElement element)
                {
                    element.WriteTo(writer);
                }
                else
                {
                    writer.WriteStringValue(value?.ToString());
                }
            }

            writer.WriteEndObject();
        }

        using var document = JsonDocument.Parse(stream.ToArray());
        return document.RootElement.Clone();
    }
}
