using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Runs;

/// <summary>
/// One attempt at a model: reads what the provider sends and turns it into events. Text goes to the log as it comes;
/// what only the end tells (usage, tool calls) is kept here.
/// </summary>
internal sealed class ModelCall(
    RunLog log, LiveRun run, RunContext context, PlannedCall plan, MaskedCall? masked, TimeProvider time,
    Failpoints failpoints)
{
    private const int UnawaitedAppendsMax = 64;

    private readonly DeltaSplitter _splitter = new();
    private readonly StringBuilder _text = new();
    private readonly List<RequestedToolCall> _toolCalls = [];
    private readonly List<RunSource> _cited = [];
    private Task _newestAppend = Task.CompletedTask;
    private int _unawaited;

    internal IReadOnlyList<RequestedToolCall> ToolCalls => _toolCalls;

    internal ChatFinishReason? FinishReason { get; private set; }

    internal UsageDetails? Usage { get; private set; }

    /// <summary>Timestamp of the first piece of a stream.</summary>
    internal long? FirstTokenAt { get; private set; }

    internal string Text => _text.ToString();

    /// <summary>Events that wait for the step's last append.</summary>
    internal List<RunEventData> Unwritten { get; } = [];

    /// <summary>True once there is text that a caller may have seen.</summary>
    internal bool HasSpoken => _text.Length > 0;

    internal async Task StreamAsync(
        IReadOnlyList<ChatMessage> messages, ChatOptions options, CancellationToken cancellationToken)
    {
        await foreach (var update in plan.Route.Client.GetStreamingResponseAsync(messages, options, cancellationToken))
        {
            Read(update.Contents);
            FinishReason = update.FinishReason ?? FinishReason;
            if (Unwritten.Count > 0)
            {
                FirstTokenAt ??= time.GetTimestamp();
                await AppendAsync();
            }
        }

        ReadEnd();
    }

    internal async Task AskWholeAsync(
        IReadOnlyList<ChatMessage> messages, ChatOptions options, CancellationToken cancellationToken)
    {
        var response = await plan.Route.Client.GetResponseAsync(messages, options, cancellationToken);
        foreach (var message in response.Messages)
        {
            Read(message.Contents);
        }

        FinishReason = response.FinishReason;
        Usage ??= response.Usage;
        ReadEnd();
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

    private void Read(IEnumerable<AIContent> contents)
    {
        foreach (var content in contents)
        {
            switch (content)
            {
                case TextContent text:
                    Cite(text.Annotations);
                    Say(masked is null ? text.Text : masked.Restore(text.Text));

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

    private void ReadEnd()
    {
        if (masked is not null)
        {
            Say(masked.RestoreRest());
        }

        if (_splitter.Flush() is { } rest)
        {
            SayPiece(rest);
        }
    }

    private void Say(string text)
    {
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
            Announce([.. chunks.Select(chunk => Source(chunk, null))]);
        }
    }

    private void Cite(IList<AIAnnotation>? annotations)
    {
        var before = _cited.Count;
        foreach (var citation in annotations?.OfType<CitationAnnotation>() ?? [])
        {
            if (_cited.All(source => source.ChunkId != citation.FileId)
                && context.Chunks?.FirstOrDefault(chunk => chunk.Chunk.Id == citation.FileId) is { } chunk)
            {
                _cited.Add(Source(chunk, citation.Snippet));
            }
        }

        if (_cited.Count > before)
        {
            Announce(_cited);
        }
    }

    /// <summary>The full list, best first: what the run's tools found, and these.</summary>
    private void Announce(IEnumerable<RunSource> sources)
    {
        var all = sources.Concat(run.State.Sources).DistinctBy(source => source.ChunkId)
            .OrderByDescending(source => source.Score).ToList();
        Unwritten.RemoveAll(data => data is SourcesFound);
        Unwritten.Insert(0, new SourcesFound(all));
    }

    private static RunSource Source(Retrieval.RetrievedChunk chunk, string? quote)
    {
        var text = chunk.Chunk.Text;
        var (start, end) = (chunk.Chunk.Start, chunk.Chunk.End);
        if (quote is not null && text.IndexOf(quote, StringComparison.Ordinal) is var at and >= 0)
        {
            start += Http.RequestObject.ScalarCount(text[..at]);
            end = start + Http.RequestObject.ScalarCount(quote);
        }

        return new RunSource(
            chunk.Chunk.DocumentId, chunk.Chunk.Id, chunk.Score, chunk.Name, chunk.Chunk.Page, start, end, quote);
    }

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
