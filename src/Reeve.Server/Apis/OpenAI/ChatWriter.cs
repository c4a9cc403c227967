using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>
/// Writes a chat run as OpenAI's clients read it (wire-mesh 4.1): the completion, or its chunks. All of it comes from
/// the log.
/// </summary>
internal static class ChatWriter
{
    internal const string Cancelled = "The run was cancelled.";

    internal static ReadOnlyMemory<byte> Body(RunState run) => ApiJson.Bytes(run, static (writer, state) =>
    {
        WriteStart(writer, state, "chat.completion");
        writer.WriteStartArray("choices"u8);
        writer.WriteStartObject();
        writer.WriteNumber("index"u8, 0);
        writer.WriteStartObject("message"u8);
        writer.WriteString("role"u8, "assistant"u8);
        var calls = Calls(state);
        writer.WriteString("content"u8, calls.Count > 0 && !state.HasOutput ? null : state.Output);
        writer.WriteNull("refusal"u8);
        if (calls.Count > 0)
        {
            writer.WriteStartArray("tool_calls"u8);
            foreach (var call in calls)
            {
                WriteCall(writer, call, call.ArgumentsText);
            }

            writer.WriteEndArray();
        }

        writer.WriteEndObject();
        writer.WriteString("finish_reason"u8, Finish(state));
        writer.WriteNull("logprobs"u8);
        writer.WriteEndObject();
        writer.WriteEndArray();
        writer.WritePropertyName("usage"u8);
        WriteUsage(writer, state);
        WriteRouting(writer, state);
        if (state.Admitted.Chat!.Attestation is { } attestation)
        {
            writer.WriteStartObject("privacy"u8);
            writer.WritePropertyName("attestation"u8);
            attestation.WriteTo(writer);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    });

    /// <summary>The projection of wire-mesh 4.1: chunks without names and numbers.</summary>
    internal static void Project(RunState state, RunEvent entry, FrameSink frames)
    {
        switch (entry.Data)
        {
            case RunAdmitted { Chat.Attestation: { } attestation }:
                frames.Add("privacy.attestation", attestation, static (writer, document) => document.WriteTo(writer));
                break;
            case MessageDelta delta:
                if (state.OutputLength == delta.Text.Length)
                {
                    AddFirst(frames, state);
                }

                frames.Add(null, (state, delta.Text), static (writer, it) => WriteChunk(writer, it.state, null, it.Text,
                    static (json, text) => json.WriteString("content"u8, text)));
                break;
            case RunCompleted:
                if (!state.HasOutput)
                {
                    AddFirst(frames, state);
                }

                AddEnd(frames, state);
                break;
            case RunFailed failed:
                WriteError(frames, ApiErrorCodes.Find(failed.Code), failed.Message, state.RunId, failed.Param);
                break;
            case RunCancelled:
                WriteError(frames, ApiErrorCodes.Conflict, Cancelled, state.RunId);
                break;
            default:
                break; // What a run does between its words is not part of a chat.
        }
    }

    /// <summary>The error that a stream ends with; no <c>[DONE]</c> follows it.</summary>
    internal static void WriteError(
        FrameSink frames, ApiErrorCode code, string message, string runId, string? param = null) =>
        frames.Add(null, (code, message, runId, param), static (writer, error) =>
        {
            writer.WriteStartObject();
            writer.WriteStartObject("error"u8);
            writer.WriteString("code"u8, error.code.Code);
            writer.WriteString("message"u8, error.message);
            writer.WriteString("type"u8, error.code.Type);
            writer.WriteString("param"u8, error.param);
            writer.WriteString("run_id"u8, error.runId);
            writer.WriteEndObject();
            writer.WriteEndObject();
        });

    private static void AddFirst(FrameSink frames, RunState state) =>
        frames.Add(null, state, static (writer, it) => WriteChunk(writer, it, null, it, static (json, _) =>
        {
            json.WriteString("role"u8, "assistant"u8);
            json.WriteString("content"u8, ""u8);
        }, withRouting: true));

    private static void AddEnd(FrameSink frames, RunState state)
    {
        var calls = Calls(state);
        for (var i = 0; i < calls.Count; i++)
        {
            // The name first and the arguments after it, as clients expect to put them together.
            frames.Add(null, (state, call: calls[i], i), static (writer, it) => WriteChunk(writer, it.state, null, it,
                static (json, of) =>
                {
                    json.WriteStartArray("tool_calls"u8);
                    WriteCall(json, of.call, "", of.i);
                    json.WriteEndArray();
                }));
            frames.Add(null, (state, call: calls[i], i), static (writer, it) => WriteChunk(writer, it.state, null, it,
                static (json, of) =>
                {
                    json.WriteStartArray("tool_calls"u8);
                    json.WriteStartObject();
                    json.WriteNumber("index"u8, of.i);
                    json.WriteStartObject("function"u8);
                    json.WriteString("arguments"u8, of.call.ArgumentsText);
                    json.WriteEndObject();
                    json.WriteEndObject();
                    json.WriteEndArray();
                }));
        }

        frames.Add(null, state, static (writer, it) =>
            WriteChunk(writer, it, Finish(it), it, static (_, _) => { }));
        if (state.Admitted.Chat!.IncludeUsage)
        {
            frames.Add(null, state, static (writer, it) =>
            {
                WriteStart(writer, it, "chat.completion.chunk");
                writer.WriteStartArray("choices"u8);
                writer.WriteEndArray();
                writer.WritePropertyName("usage"u8);
                WriteUsage(writer, it);
                writer.WriteEndObject();
            });
        }

        frames.Add("[DONE]"u8);
    }

    private static void WriteChunk<T>(
        Utf8JsonWriter writer, RunState state, string? finish, T data, Action<Utf8JsonWriter, T> writeDelta,
        bool withRouting = false)
    {
        WriteStart(writer, state, "chat.completion.chunk");
        writer.WriteStartArray("choices"u8);
        writer.WriteStartObject();
        writer.WriteNumber("index"u8, 0);
        writer.WriteStartObject("delta"u8);
        writeDelta(writer, data);
        writer.WriteEndObject();
        writer.WriteString("finish_reason"u8, finish);
        writer.WriteEndObject();
        writer.WriteEndArray();
        if (state.Admitted.Chat!.IncludeUsage)
        {
            writer.WriteNull("usage"u8); // As OpenAI writes it on every chunk before the one that has it.
        }

        if (withRouting)
        {
            WriteRouting(writer, state);
        }

        writer.WriteEndObject();
    }

    private static void WriteStart(Utf8JsonWriter writer, RunState state, string type)
    {
        writer.WriteStartObject();
        writer.WriteString("id"u8, $"chatcmpl-{state.RunId[(Id.Run.Length + 1)..]}");
        writer.WriteString("object"u8, type);
        writer.WriteNumber("created"u8, state.CreatedAt.ToUnixTimeSeconds());
        writer.WriteString("model"u8, state.NewestCall?.Model);
    }

    private static void WriteCall(Utf8JsonWriter writer, RunToolCall call, string arguments, int? index = null)
    {
        writer.WriteStartObject();
        if (index is { } at)
        {
            writer.WriteNumber("index"u8, at);
        }

        writer.WriteString("id"u8, call.Id);
        writer.WriteString("type"u8, "function"u8);
        writer.WriteStartObject("function"u8);
        writer.WriteString("name"u8, call.Tool);
        writer.WriteString("arguments"u8, arguments);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteUsage(Utf8JsonWriter writer, RunState state)
    {
        writer.WriteStartObject();
        writer.WriteNumber("prompt_tokens"u8, state.InputTokens);
        writer.WriteNumber("completion_tokens"u8, state.OutputTokens);
        writer.WriteNumber("total_tokens"u8, state.InputTokens + state.OutputTokens);
        writer.WriteNumber("cost"u8, Money.Usd(state.Charged));
        writer.WriteEndObject();
    }

    private static void WriteRouting(Utf8JsonWriter writer, RunState state)
    {
        var chat = state.Admitted.Chat!;
        writer.WriteStartObject("routing"u8);
        writer.WriteString("mode"u8, chat.Routing);
        writer.WriteString("model"u8, state.NewestCall?.Model);
        writer.WriteStartArray("chain"u8);
        foreach (var name in chat.Chain)
        {
            writer.WriteStringValue(name);
        }

        writer.WriteEndArray();
        writer.WriteStartArray("attempts"u8);
        foreach (var attempt in state.Attempts)
        {
            WriteAttempt(writer, attempt.Model, attempt.Outcome);
        }

        if (state.OpenCall is { } open)
        {
            WriteAttempt(writer, open.Call.Model, "started");
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteAttempt(Utf8JsonWriter writer, string model, string outcome)
    {
        writer.WriteStartObject();
        writer.WriteString("model"u8, model);
        writer.WriteString("outcome"u8, outcome);
        writer.WriteString("code"u8, outcome == "failed" ? ApiErrorCodes.ProviderUnavailable.Code : null);
        writer.WriteEndObject();
    }

    /// <summary>What the model wants the caller to do; the server's own calls are not shown.</summary>
    private static IReadOnlyList<RunToolCall> Calls(RunState state) =>
        state.Status == RunStatuses.Completed && state.Steps is [.., { ToolCalls: { Count: > 0 } calls }] ? calls : [];

    private static string Finish(RunState state) => Calls(state).Count > 0
        ? "tool_calls"
        : state.NewestEnd?.FinishReason is "length" or "content_filter" ? state.NewestEnd.FinishReason : "stop";
}
