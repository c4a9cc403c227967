using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Runs;

/// <summary>
/// Makes model calls: masks what is sent, keeps to the bounds of providers and, where the operator wants it, asks the
/// next route as well when the first one is slow to begin.
/// </summary>
/// <remarks>
/// <code>
///   first  ──▶ asked ── nothing for HedgeAfter ─────────────┬─▶ whoever gives the first token first goes on alone;
///   second                  └─▶ plan, hold, intent ─▶ asked ┘   the other is the operator's, and cancelled once it
///                                                               has given any sign or was silent for its timeout
/// </code>
/// No token reaches the log before one of the two is alone. One that fails leaves the other alone, for free. To lose
/// is no fault, and to be silent is the one it would be without a race: so a provider that never answers opens its
/// circuit, one that is slower than another does not, and a call that tries a circuit says whether it closes.
/// </remarks>
internal sealed partial class ModelCalls(
    RunLog log, RunEnding ending, ProviderHealth health, PersonalData personal, ReeveOptions options, TimeProvider time,
    Failpoints failpoints, ILogger<ModelCalls> logger)
{
    /// <summary>Enters the provider, where it may be asked, and says what is to be sent; nothing leaves yet.</summary>
    internal ModelCall Prepare(LiveRun run, RunContext context, PlannedCall plan, Prompt prompt)
    {
        var masked = MaskedCall.For(run, context, plan, personal);
        var (messages, settings) = (prompt.Messages, Options(context, plan));
        if (masked is not null)
        {
            (messages, settings) = masked.Mask(prompt, settings);
        }

        return new ModelCall(log, run, context, plan, masked, time, failpoints)
        {
            Prompt = prompt,
            Messages = messages,
            Options = settings,
            Visit = health.Of(plan.Route.Model.Provider).TryEnter(),
        };
    }

    /// <summary>
    /// Asks, and answers which call goes on: the one to read, beside which none is open. <paramref name="next"/> makes
    /// the second one with its hold, or null where there is none.
    /// </summary>
    internal async Task<ModelCall> AskAsync(
        LiveRun run, ModelCall first, Func<ModelCall, Task<ModelCall?>> next, CancellationToken cancellationToken)
    {
        first.Ask(cancellationToken);
        if (options.Inference.HedgeAfter is not { } after || first.Plan.Route.Model.IsBuiltIn)
        {
            return first;
        }

        await first.Begun.WaitAsync(after, time, cancellationToken).ConfigureAwait(
            ConfigureAwaitOptions.ContinueOnCapturedContext | ConfigureAwaitOptions.SuppressThrowing);
        if (first.Begun.IsCompleted || cancellationToken.IsCancellationRequested || await next(first) is not { } second)
        {
            return first;
        }

        try
        {
            return await RaceAsync(run, first, second, cancellationToken);
        }
        catch
        {
            second.Leave();
            throw;
        }
    }

    private async Task<ModelCall> RaceAsync(
        LiveRun run, ModelCall first, ModelCall second, CancellationToken cancellationToken)
    {
        failpoints.Hit(Failpoints.LoopHedged);
        var hedge = run.State.OpenHedge!.Value.Call;
        if (cancellationToken.IsCancellationRequested || (first.Begun.IsCompleted && first.FaultAtStart is null))
        {
            // What was waited for came while the hold was taken, or nobody waits any more.
            return await EndAsync(run, second, new CallEnd("abandoned", 0, 0) { IsOfHedge = true }, first);
        }

        second.Ask(cancellationToken);
        await Task.WhenAny(first.Begun, second.Begun);
        var isFirst = first.Begun.IsCompleted || cancellationToken.IsCancellationRequested;
        var (ahead, behind) = isFirst ? (first, second) : (second, first);
        if (ahead.FaultAtStart is { } error)
        {
            Failed(run, ahead, error);
            return await EndAsync(run, ahead,
                new CallEnd("failed", 0, 0) { Fault = error.Fault.ToString(), IsOfHedge = !isFirst }, behind);
        }

        if (!isFirst && first.IsStreamed)
        {
            // Slower than this, but nobody will know by how much.
            health.RecordFirstToken(first.Route, time.GetElapsedTime(first.AskedAt));
        }

        var call = isFirst ? hedge : run.State.OpenCall!.Value.Call;
        var end = CallEnd.Lost("cancelled", call, "") with { IsOfHedge = isFirst };
        return await EndAsync(run, behind, end, ahead, hasLost: !cancellationToken.IsCancellationRequested);
    }

    private async Task<ModelCall> EndAsync(
        LiveRun run, ModelCall ended, CallEnd end, ModelCall other, bool hasLost = false)
    {
        if (hasLost)
        {
            ended.Part();
            _ = HearAsync(run, ended);
        }
        else
        {
            ended.Leave();
        }

        await ending.WriteAsync(run, [], end);
        failpoints.Hit(Failpoints.LoopHedgeEnded);
        return other;
    }

    /// <summary>Waits for a sign of life from who lost, for as long as its provider may be silent.</summary>
    private async Task HearAsync(LiveRun run, ModelCall lost)
    {
        var silenceMax = health.Of(lost.Route.Provider).Settings.Timeout;
        var left = silenceMax - time.GetElapsedTime(lost.AskedAt);
        try
        {
            await lost.Sign.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, time);
            await Task.Yield(); // Off the stack of who reads the provider, which is let go of next.
            lost.Visit!.Succeed();
        }
        catch (TimeoutException)
        {
            Failed(run, lost, new ProviderException(ProviderFault.Timeout,
                $"{lost.Route.Provider} lost to another and was silent for {silenceMax.TotalSeconds} seconds."));
        }
        catch (ProviderException error)
        {
            Failed(run, lost, error);
        }
#pragma warning disable CA1031 // Nobody waits for it any more, and its run may have ended.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogNotHeard(error, run.RunId, lost.Route.Provider);
        }
        finally
        {
            lost.Leave();
        }
    }

    internal void Succeeded(ModelCall call)
    {
        call.Visit!.Succeed();
        if (call.FirstTokenAt is { } first)
        {
            health.RecordFirstToken(call.Route, time.GetElapsedTime(call.AskedAt, first));
            health.RecordTokens(call.Route, call.StreamedTokens, time.GetElapsedTime(first));
        }
    }

    internal void Failed(LiveRun run, ModelCall call, ProviderException error)
    {
        call.Visit!.Fail(error.Fault);
        health.RecordFailure(call.Route);
        LogProviderFailed(error, run.RunId, call.Route.Provider, error.Fault);
    }

    private static ChatOptions Options(RunContext context, PlannedCall plan)
    {
        var chat = context.Chat;
        var options = new ChatOptions
        {
            MaxOutputTokens = plan.OutputTokensMax,
            Temperature = (float?)(chat?.Temperature ?? context.Config.Temperature),
            ResponseFormat = context.OutputSchemaElement is { } schema
                ? ChatResponseFormat.ForJsonSchema(schema)
                : chat?.Format,
            TopP = (float?)chat?.TopP,
            FrequencyPenalty = (float?)chat?.FrequencyPenalty,
            PresencePenalty = (float?)chat?.PresencePenalty,
            Seed = chat?.Seed,
            StopSequences = chat is { Stop.Count: > 0 } ? [.. chat.Stop] : null,
        };
        if (plan.Route.Model.Capabilities.Contains(Capabilities.Tools) && context.Functions.Any())
        {
            options.Tools = [.. context.Functions];
            options.ToolMode = chat?.ToolMode;
            options.AllowMultipleToolCalls = chat?.ParallelToolCalls;
        }

        return options;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{RunId}: whether {Provider}, which lost, lives is not known.")]
    private partial void LogNotHeard(Exception error, string runId, string provider);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{RunId}: {Provider} failed ({Fault}).")]
    private partial void LogProviderFailed(ProviderException error, string runId, string provider, ProviderFault fault);
}
