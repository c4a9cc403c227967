using System.Globalization;
using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.Auteryn;

/// <summary>A run in the shapes of wire-auteryn: the stream of 2.1, the JSON of 2.2, the summaries of 4.</summary>
internal sealed class AuterynRunWriter(CreditOptions credits)
{
    /// <summary>The projection of wire-auteryn 2.1: data-only frames whose first member is <c>type</c>.</summary>
    internal void Project(RunState state, RunEvent entry, FrameSink frames)
    {
        switch (entry.Data)
        {
            case RunAdmitted admitted:
                Add(frames, "run_started", (state.RunId, admitted.ConversationId!), static (writer, ids) =>
                {
                    writer.WriteString("run_id"u8, ids.RunId);
                    writer.WriteString("task_id"u8, TaskId(ids.Item2));
                });
                break;
            case MessageDelta delta:
                Add(frames, "text_chunk", delta.Text, static (writer, text) => writer.WriteString("content"u8, text));
                break;
            case ToolCallStarted call:
                Add(frames, "tool_call", call, static (writer, started) =>
                {
                    writer.WriteString("tool"u8, started.Tool);
                    writer.WriteString("action"u8, started.Action);
                    writer.WritePropertyName("params"u8);
                    started.Params.WriteTo(writer);
                    writer.WriteString("call_id"u8, started.Id);
                });
                break;
            case ToolCallFinished call:
                Add(frames, "tool_result", call, static (writer, finished) =>
                {
                    writer.WriteString("tool"u8, finished.Tool);
                    writer.WritePropertyName("result"u8);
                    finished.Result.WriteTo(writer);
                    writer.WriteString("call_id"u8, finished.Id);
                    writer.WriteBoolean("is_error"u8, finished.IsError);
                });
                break;
            case OutputReset reset:
                Add(frames, "output_reset", reset.Reason,
                    static (writer, text) => writer.WriteString("reason"u8, text));
                break;
            default:
                ProjectEnd(state, entry, frames);
                break;
        }
    }

    /// <summary>The JSON answer of 2.2.</summary>
    internal void WriteRun(Utf8JsonWriter writer, RunView run)
    {
        writer.WriteStartObject();
        writer.WriteString("run_id"u8, run.RunId);
        writer.WriteString("task_id"u8, TaskId(run.Admitted.ConversationId!));
        writer.WriteString("status"u8, Status(run.Status));
        writer.WriteString("output"u8, run.Output);
        WriteCredits(writer, run.Charged);
        writer.WriteNumber("duration_ms"u8, run.DurationMilliseconds ?? 0);
        writer.WriteStartArray("tool_calls"u8);
        foreach (var call in run.Outcome.ToolCalls)
        {
            writer.WriteStartObject();
            writer.WriteString("tool"u8, call.Tool);
            writer.WriteString("action"u8, call.Action);
            writer.WritePropertyName("params"u8);
            call.Params.WriteTo(writer);
            writer.WriteString("result_summary"u8, call.ResultSummary);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>A run of a task: the seven documented fields, and ours where they are asked for.</summary>
    internal void WriteSummary(Utf8JsonWriter writer, RunView run, DateTimeOffset now, bool withOurs)
    {
        writer.WriteStartObject();
        writer.WriteString("run_id"u8, run.RunId);
        writer.WriteString("task_id"u8, TaskId(run.Admitted.ConversationId!));
        writer.WriteString("status"u8, Status(run.Status));
        writer.WriteString("query"u8, run.Admitted.Input);
        writer.WriteString("output"u8, run.Output);
        WriteCredits(writer, run.Charged);
        writer.WriteNumber("duration_ms"u8,
            run.DurationMilliseconds ?? Math.Max(0, (long)(now - run.CreatedAt).TotalMilliseconds));
        if (withOurs)
        {
            writer.WriteString("created_at"u8, Time(run.CreatedAt));
            writer.WritePropertyName("error"u8);
            WriteError(writer, run.Failure);
        }

        writer.WriteEndObject();
    }

    internal void WriteCredits(Utf8JsonWriter writer, long charged) =>
        writer.WriteNumber("credits_used"u8, Money.Credits(charged, credits.MicroUsdPerCredit));

    internal static string TaskId(string conversationId) => Id.WithPrefix("task", conversationId);

    internal static string Status(string status) => status == RunStatuses.Queued ? "pending" : status;

    /// <summary>Times here are whole seconds, as in the documented samples.</summary>
    internal static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private void ProjectEnd(RunState state, RunEvent entry, FrameSink frames)
    {
        switch (entry.Data)
        {
            case RunCompleted:
                Add(frames, "run_completed", (state, credits), static (writer, end) =>
                {
                    writer.WriteString("run_id"u8, end.state.RunId);
                    writer.WriteNumber("credits_used"u8,
                        Money.Credits(end.state.Charged, end.credits.MicroUsdPerCredit));
                    writer.WriteNumber("duration_ms"u8,
                        (long)(end.state.FinishedAt!.Value - end.state.CreatedAt).TotalMilliseconds);
                });
                break;
            case RunFailed failed:
                Add(frames, "run_failed", (state.RunId, failed), static (writer, end) =>
                {
                    writer.WriteString("run_id"u8, end.RunId);
                    writer.WritePropertyName("error"u8);
                    WriteError(writer, end.failed);
                });
                break;
            case RunCancelled:
                Add(frames, "run_cancelled", state.RunId, static (writer, id) => writer.WriteString("run_id"u8, id));
                break;
            default:
                break; // Sources and the engine's own events have no form here.
        }
    }

    private static void WriteError(Utf8JsonWriter writer, RunFailed? failure)
    {
        if (failure is null)
        {
            writer.WriteNullValue();
            return;
        }

        writer.WriteStartObject();
        writer.WriteString("code"u8, AuterynErrors.Code(failure.Code));
        writer.WriteString("message"u8, failure.Message);
        writer.WriteEndObject();
    }

    private static void Add<T>(FrameSink frames, string type, T data, Action<Utf8JsonWriter, T> write) =>
        frames.Add(null, (type, data, write), static (writer, frame) =>
        {
            writer.WriteStartObject();
            writer.WriteString("type"u8, frame.type);
            frame.write(writer, frame.data);
            writer.WriteEndObject();
        });
}
