using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Receipts;
using Reeve.Server.Tools;

namespace Reeve.Server.Runs;

/// <summary>Makes one tool call: intent, call, result, each durable before the next.</summary>
internal sealed class ToolStep(RunLog log, Failpoints failpoints)
{
    private const int ResultBytesMax = 64 * 1024;

    private static readonly JsonElement OutcomeUnknown = ToolErrors.Of(
        "The server stopped while this call was made. Nobody knows whether it took effect, so it was not made again.")
        .Result;

    internal async Task CallAsync(
        LiveRun run, RunContext context, RunToolCall call, CancellationToken cancellationToken)
    {
        if (call.IsOutcomeUnknown)
        {
            await log.AppendAsync(run, [new ToolCallFinished(call.Id, call.Tool, OutcomeUnknown, IsError: true)]);
            return;
        }

        // After a crash the intent of a call that can be made again stands in the log already.
        if (run.State.ToolCalls.All(started => started.Id != call.Id))
        {
            await log.AppendAsync(run,
            [
                new ToolCallStarted(call.Id, call.Tool, call.Action, call.Params)
                {
                    ParamsSha256 = Convert.ToHexStringLower(SHA256.HashData(Canonical(call.Params))),
                    Idempotent = Function(context, call)?.Idempotent ?? true,
                },
            ]);
        }

        failpoints.Hit(Failpoints.LoopToolIntended);
        var result = await InvokeAsync(run, context, call, cancellationToken);
        failpoints.Hit(Failpoints.LoopToolEffect);
        await RaiseClassAsync(run, [result.PrivacyClass]);
        var events = new List<RunEventData>
        {
            new ToolCallFinished(call.Id, call.Tool, Bounded(result.Result), result.IsError),
        };
        if (AllSources(run, result) is { } sources)
        {
            events.Add(new SourcesFound(sources));
        }

        await log.AppendAsync(run, events);
        failpoints.Hit(Failpoints.LoopToolFinished);
    }

    /// <summary>The run's class rises to what was read; nothing lowers it.</summary>
    internal async Task RaiseClassAsync(LiveRun run, IEnumerable<PrivacyClass> classes)
    {
        var strictest = classes.Aggregate(run.State.PrivacyClass, PrivacyClasses.Stricter);
        if (strictest > run.State.PrivacyClass)
        {
            if (strictest == PrivacyClass.Confidential && run.Key is null)
            {
                throw new ApiException(ApiErrorCodes.NoPermittedRoute,
                    "A document became confidential after the run began, which is not encrypted at rest; ask again.");
            }

            await log.AppendAsync(run, [new PrivacyRaised(strictest.Word())],
                session => RunStore.RaiseClass(session, run, strictest.Word()));
        }
    }

    private static async Task<ToolResult> InvokeAsync(
        LiveRun run, RunContext context, RunToolCall call, CancellationToken cancellationToken)
    {
        if (Function(context, call) is not { } function)
        {
            return new ToolResult(
                JsonSerializer.SerializeToElement("There is no such tool.", RunEventCodec.Json.String), IsError: true);
        }

        return await function.Builtin.InvokeAsync(call.Action, call.Params, new ToolCallContext(
            run.Head.Tenant, context.AgentId!, run.RunId, call.Id, run.State.PrivacyClass)
        {
            BuiltInOnly = run.Head.Payer.Mode == "test",
        }, cancellationToken);
    }

    private static ToolFunction? Function(RunContext context, RunToolCall call) =>
        context.Tools.Functions.FirstOrDefault(known => known.Tool == call.Tool && known.Action == call.Action);

    // A model may write a number that no double holds; such arguments are hashed as they stand.
    private static byte[] Canonical(JsonElement arguments) => RequestObject.IsFinite(arguments)
        ? CanonicalJson.Serialize(arguments)
        : Encoding.UTF8.GetBytes(arguments.GetRawText());

    private static List<RunSource>? AllSources(LiveRun run, ToolResult result)
    {
        var known = run.State.Sources;
        var found = result.Sources.Where(source => known.All(other => other.ChunkId != source.ChunkId)).ToList();
        return found.Count == 0
            ? null
            : [.. known.Concat(found.Select(source => new RunSource(source.DocumentId, source.ChunkId, source.Score,
                source.Name, source.Page, source.Start, source.End, null))).OrderByDescending(source => source.Score)];
    }

    /// <summary>One cap for what a tool may put before the model and into the log.</summary>
    private static JsonElement Bounded(JsonElement result)
    {
        var text = result.GetRawText();
        if (System.Text.Encoding.UTF8.GetByteCount(text) <= ResultBytesMax)
        {
            return result;
        }

        // Escaping can make text up to six times as long; an eighth is sure to fit.
        var cut = DeltaSplitter.CutAt(text, ResultBytesMax / 8);
        return JsonSerializer.SerializeToElement(new TruncatedResult(true, cut), RunEventCodec.Json.TruncatedResult);
    }
}

/// <summary>What stands for a tool's result that is over its bound.</summary>
internal sealed record TruncatedResult(bool Truncated, string Text);
