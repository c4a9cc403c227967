using System.Globalization;
using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.Mesh;

/// <summary>A run in the shapes of wire-mesh: the body of 2.1, the object of 2.6, the frames of 2.2.</summary>
internal sealed class MeshRunWriter(CreditOptions credits)
{
    internal ReadOnlyMemory<byte> Body(RunView run) => ApiJson.Bytes(run, WriteBody);

    internal ReadOnlyMemory<byte> Object(RunView run) => ApiJson.Bytes(run, WriteObject);

    internal ReadOnlyMemory<byte> List(Page<RunView> page) => ApiJson.Bytes(page, (writer, value) =>
    {
        writer.WriteStartObject();
        writer.WriteStartArray("data"u8);
        foreach (var run in value.Data)
        {
            WriteObject(writer, run);
        }

        writer.WriteEndArray();
        writer.WriteBoolean("has_more"u8, value.HasMore);
        writer.WriteString("next_cursor"u8, value.NextCursor);
        writer.WriteEndObject();
    });

    /// <summary>The projection of wire-mesh 2.2.</summary>
    internal void Project(RunState state, RunEvent entry, FrameSink frames)
    {
        switch (entry.Data)
        {
            case RunAdmitted:
                frames.Add("run.started", state, static (writer, run) =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("id"u8, run.Admitted.MessageId);
                    writer.WriteString("run_id"u8, run.RunId);
                    writer.WriteString("agent_id"u8, run.Admitted.AgentId);
                    writer.WriteString("conversation_id"u8, run.Admitted.ConversationId);
                    writer.WriteEndObject();
                });
                break;
            case SourcesFound found:
                frames.Add("message.sources", found.Sources, static (writer, sources) =>
                {
                    writer.WriteStartObject();
                    WriteSources(writer, sources);
                    writer.WriteEndObject();
                });
                break;
            case MessageDelta delta:
                frames.Add("message.delta", delta.Text, static (writer, text) => WriteOne(writer, "delta"u8, text));
                break;
            case ToolCallStarted call:
                frames.Add("tool.call", call, WriteToolCall);
                break;
            case ToolCallFinished call:
                frames.Add("tool.result", call, WriteToolResult);
                break;
            case OutputReset reset:
                frames.Add("output.reset", reset.Reason, static (writer, text) => WriteOne(writer, "reason"u8, text));
                break;
            case RunCompleted:
                frames.Add("run.completed", RunView.Of(state, null), WriteBody);
                break;
            case RunFailed failed:
                frames.Add("run.failed", failed, static (writer, failure) => WriteFailure(writer, failure));
                break;
            case RunCancelled:
                frames.Add("run.cancelled", state, static (writer, _) =>
                {
                    writer.WriteStartObject();
                    writer.WriteEndObject();
                });
                break;
            default:
                break; // The engine's own events are not shown.
        }
    }

    private void WriteBody(Utf8JsonWriter writer, RunView run)
    {
        writer.WriteStartObject();
        WriteBodyMembers(writer, run);
        if (!run.IsTerminal)
        {
            WriteNoActions(writer);
        }

        writer.WriteEndObject();
    }

    private void WriteBodyMembers(Utf8JsonWriter writer, RunView run)
    {
        writer.WriteString("id"u8, run.Admitted.MessageId);
        writer.WriteString("agent_id"u8, run.Admitted.AgentId);
        writer.WriteString("conversation_id"u8, run.Admitted.ConversationId);
        writer.WriteString("output"u8, run.Output);
        WriteSources(writer, run.Outcome.Sources);
        writer.WriteStartObject("usage"u8);
        writer.WriteNumber("input_tokens"u8, run.Outcome.Usage.InputTokens);
        writer.WriteNumber("output_tokens"u8, run.Outcome.Usage.OutputTokens);
        writer.WriteEndObject();
        writer.WriteStartObject("route"u8);
        writer.WriteString("tier"u8, run.Outcome.Tier);
        writer.WriteString("model"u8, run.Outcome.Model);
        writer.WriteEndObject();
        writer.WriteString("run_id"u8, run.RunId);
        writer.WriteString("status"u8, run.Status);
        WriteToolCalls(writer, run.Outcome.ToolCalls);
        writer.WriteNumber("credits_used"u8, Money.Credits(run.Charged, credits.MicroUsdPerCredit));
        writer.WriteString("receipt_id"u8, run.IsTerminal ? run.Admitted.ReceiptId : null);
    }

    private void WriteObject(Utf8JsonWriter writer, RunView run)
    {
        writer.WriteStartObject();
        WriteBodyMembers(writer, run);
        writer.WriteNumberOrNull("agent_version", run.Admitted.AgentVersion);
        writer.WriteString("mode"u8, run.Admitted.Mode);
        writer.WriteString("kind"u8, run.Admitted.Kind);
        writer.WriteString("input"u8, run.Admitted.Input);
        writer.WriteString("privacy_class"u8, run.PrivacyClass);
        WriteNoActions(writer);
        writer.WritePropertyName("error"u8);
        WriteFailure(writer, run.Failure);
        writer.WritePropertyName("user"u8);
        WriteElement(writer, run.Admitted.User);
        writer.WritePropertyName("metadata"u8);
        WriteElement(writer, run.Admitted.Metadata ?? JsonElement.Parse("{}"u8));
        writer.WriteString("created_at"u8, Time(run.CreatedAt));
        writer.WriteString("started_at"u8, Time(run.StartedAt));
        writer.WriteString("finished_at"u8, Time(run.FinishedAt));
        writer.WriteNumberOrNull("duration_ms", run.DurationMilliseconds);
        writer.WriteString("route_reason"u8, run.Outcome.RouteReason);
        WriteCitations(writer, run.Outcome.Sources);
        writer.WriteEndObject();
    }

    // Actions come with the tools that need them; a run of today waits for nobody.
    private static void WriteNoActions(Utf8JsonWriter writer)
    {
        writer.WriteStartArray("required_actions"u8);
        writer.WriteEndArray();
    }

    private static void WriteSources(Utf8JsonWriter writer, IReadOnlyList<RunSource> sources)
    {
        writer.WriteStartArray("sources"u8);
        foreach (var source in sources)
        {
            writer.WriteStartObject();
            writer.WriteString("documentId"u8, source.DocumentId);
            writer.WriteString("chunkId"u8, source.ChunkId);
            writer.WriteNumber("score"u8, source.Score);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteCitations(Utf8JsonWriter writer, IReadOnlyList<RunSource> sources)
    {
        writer.WriteStartArray("citations"u8);
        foreach (var source in sources)
        {
            writer.WriteStartObject();
            writer.WriteString("documentId"u8, source.DocumentId);
            writer.WriteString("chunkId"u8, source.ChunkId);
            writer.WriteString("name"u8, source.Name);
            writer.WriteNumberOrNull("page", source.Page);
            writer.WriteNumber("start"u8, source.Start);
            writer.WriteNumber("end"u8, source.End);
            writer.WriteString("quote"u8, source.Quote);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteToolCalls(Utf8JsonWriter writer, IReadOnlyList<ShownToolCall> calls)
    {
        writer.WriteStartArray("tool_calls"u8);
        foreach (var call in calls)
        {
            writer.WriteStartObject();
            writer.WriteString("id"u8, call.Id);
            writer.WriteString("tool"u8, call.Tool);
            writer.WriteString("action"u8, call.Action);
            writer.WritePropertyName("params"u8);
            call.Params.WriteTo(writer);
            writer.WriteString("result_summary"u8, call.ResultSummary);
            writer.WriteBoolean("is_error"u8, call.IsError);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteToolCall(Utf8JsonWriter writer, ToolCallStarted call)
    {
        writer.WriteStartObject();
        writer.WriteString("id"u8, call.Id);
        writer.WriteString("tool"u8, call.Tool);
        writer.WriteString("action"u8, call.Action);
        writer.WritePropertyName("params"u8);
        call.Params.WriteTo(writer);
        writer.WriteEndObject();
    }

    private static void WriteToolResult(Utf8JsonWriter writer, ToolCallFinished call)
    {
        writer.WriteStartObject();
        writer.WriteString("id"u8, call.Id);
        writer.WriteString("tool"u8, call.Tool);
        writer.WritePropertyName("result"u8);
        call.Result.WriteTo(writer);
        writer.WriteBoolean("is_error"u8, call.IsError);
        writer.WriteEndObject();
    }

    private static void WriteFailure(Utf8JsonWriter writer, RunFailed? failure)
    {
        if (failure is null)
        {
            writer.WriteNullValue();
            return;
        }

        writer.WriteStartObject();
        writer.WriteString("code"u8, failure.Code);
        writer.WriteString("message"u8, failure.Message);
        writer.WriteEndObject();
    }

    private static void WriteOne(Utf8JsonWriter writer, ReadOnlySpan<byte> name, string value)
    {
        writer.WriteStartObject();
        writer.WriteString(name, value);
        writer.WriteEndObject();
    }

    private static void WriteElement(Utf8JsonWriter writer, JsonElement? element)
    {
        if (element is { } value)
        {
            value.WriteTo(writer);
        }
        else
        {
            writer.WriteNullValue();
        }
    }

    private static string? Time(DateTimeOffset? time) =>
        time?.UtcDateTime.ToString(WireTimeConverter.Format, CultureInfo.InvariantCulture);
}
