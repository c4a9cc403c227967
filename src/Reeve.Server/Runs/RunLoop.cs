using Microsoft.Extensions.AI;
using Reeve.Server.Agents;
using Reeve.Server.Credits;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Inference.Providers.Builtin;
using Reeve.Server.Retrieval;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// The agent loop. It reads the run's state and writes events; whatever an API shows comes from these.
/// </summary>
/// <remarks>
/// <code>
///   ┌─▶ tool calls without a result?  ── yes ─▶ write intent, call, write result ──┐
///   │     │ no                                                                     │
///   │   retrieve once, before the first step                                       │
///   │   plan the call (class, route, size), hold, write intent   [first: admission]│
///   │   stream the model, each piece an event; where hedged, the faster of two     │
///   │   write the end of the call, settle                                          │
///   │     ├─ provider failed: next route, or the run fails                         │
///   │     ├─ asked for tools ──────────────────────────────────────────────────────┤
///   │     └─ answered: check the schema, write the terminal event                  │
///   └──────────────────────────────────────────────────────────────────────────────┘
/// </code>
/// Bounds: MaxSteps, MaxToolCalls, MaxRunSeconds, MaxCreditsPerRun of the agent. After a crash the loop begins from the
/// log: finished steps are there, an interrupted call is a new attempt.
/// </remarks>
internal sealed class RunLoop(
    Database database, RunLog log, RunEnding ending, RunPlanner planner, CreditLedger ledger, RunContexts contexts,
    Retriever retriever, ToolStep tools, EmbeddingStep embeddings, ModelCalls calls, TimeProvider time,
    Failpoints failpoints)
{
    /// <summary>What a caller is told to wait when the provider said nothing.</summary>
    private const int RetryAfterSeconds = 5;

    /// <summary>Runs until the terminal event is durable, or throws when this owner cannot go on.</summary>
    internal async Task RunAsync(LiveRun run, RunContext? context, PlannedCall? plan)
    {
        if (run.State.IsTerminal)
        {
            return;
        }

        failpoints.Hit(Failpoints.LoopBegun);
        using var deadline = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(run.Cancellation, deadline.Token);
        try
        {
            both.Token.ThrowIfCancellationRequested();
            context ??= contexts.Load(run.Head, run.State.Admitted) ?? throw ApiException.NotFound("agent");
            await tools.RaiseClassAsync(run, [context.History.Strictest]);
            deadline.CancelAfter(Positive(Limits(context).MaxRunSeconds, run.State.Active));
            while (!run.State.IsTerminal)
            {
                both.Token.ThrowIfCancellationRequested();
                await StepAsync(run, context, plan, both.Token);
                plan = null;
            }
        }
        catch (OperationCanceledException) when (run.IsCancelRequested)
        {
            await EndAsync(run, new RunCancelled());
        }
        catch (OperationCanceledException) when (!run.IsStopped)
        {
            await EndAsync(run, Exceeded("The run took longer than max_run_seconds.", "limits.max_run_seconds"));
        }
        catch (OperationCanceledException)
        {
            // The server stops. The open call stays open: the next start takes the run over.
        }
        catch (ApiException error)
        {
            await EndAsync(run, new RunFailed(error.Code.Code, error.Message)
            {
                Param = error.Param,
                RetryAfterSeconds = error.RetryAfterSeconds,
            });
        }
    }

    /// <summary>Ends a run that never began.</summary>
    internal Task EndQueuedAsync(LiveRun run) => EndAsync(run, new RunCancelled());

    /// <summary>Ends a waiting run that has nothing to go on from: its conversation or agent is damaged.</summary>
    internal Task EndUnreadableAsync(LiveRun run) => EndAsync(run, new RunFailed(
        ApiErrorCodes.InternalError.Code,
        "What is stored of the run's conversation or agent is damaged; the operator must look at it.")
    {
        Cause = "unreadable",
    });

    /// <summary>A waiting run's turn: takes its first hold. Null: it has failed instead.</summary>
    internal async Task<PlannedCall?> BeginQueuedAsync(LiveRun run, RunContext context)
    {
        try
        {
            // What was said while it waited is before its model too, and may be of a stricter class.
            await tools.RaiseClassAsync(run, [context.History.Strictest]);
            var plan = PlanCall(run, context, run.State.FailedRoutes);
            await log.AppendAsync(run, [new RunBegun()], session => RunStore.Begin(session, run));
            await HoldAsync(run, plan);
            return plan;
        }
        catch (ApiException error)
        {
            await EndAsync(run, new RunFailed(error.Code.Code, error.Message) { Param = error.Param });
            return null;
        }
    }

    private async Task StepAsync(
        LiveRun run, RunContext context, PlannedCall? plan, CancellationToken cancellationToken)
    {
        if (context.Embedding is { } embedding)
        {
            plan = await ReadyCallAsync(run, context, plan);
            await embeddings.CallAsync(
                run, embedding, plan, failed => CanGoOn(run, context, failed), cancellationToken);
            return;
        }

        if (run.State.PendingToolCalls.FirstOrDefault() is { } pending)
        {
            await tools.CallAsync(run, context, pending, cancellationToken);
            return;
        }

        if (run.State.IsAnswered)
        {
            // The end of the call was written and what follows from it was not: a crash came between, or the call used
            // more than it held. The log has all that is needed.
            if (context.Chunks is null && context.Config.StrictCitations)
            {
                await RetrieveAsync(run, context, cancellationToken);
            }

            await ending.WriteAsync(
                run, [], null, Conclude(
                run, context, run.State.NewestEnd!, run.State.Steps[^1].Text, run.State.Sources));
            return;
        }

        if (run.State.Steps.Count >= Limits(context).MaxSteps)
        {
            throw new ApiException(ApiErrorCodes.RunLimitExceeded,
                "The run reached max_steps without an answer.", "limits.max_steps");
        }

        if (context.Chunks is null)
        {
            await RetrieveAsync(run, context, cancellationToken);
            failpoints.Hit(Failpoints.LoopRetrieved);
        }

        if (run.State.SchemaRetried)
        {
            context.SchemaComplaint ??= OutputCheck.Again; // The complaint itself went with a crash.
        }

        plan = await ReadyCallAsync(run, context, plan);
        await CallModelAsync(run, context, plan, cancellationToken);
    }

    private async Task RetrieveAsync(LiveRun run, RunContext context, CancellationToken cancellationToken)
    {
        context.Chunks = context.HasDocuments
            ? Budgeted(await retriever.SearchAsync(run.Head.Tenant, context.AgentId!,
                new Question(RetrievalQuery.Build(run.State.Admitted.Input, context.Chat is { } chat
                    ? [.. chat.Questions.SkipLast(1)]
                    : [.. context.History.Turns.Select(static turn => turn.User)]),
                    run.State.PrivacyClass, run.Head.Payer.Mode == "test"),
                PromptBuilder.ChunksMax, cancellationToken))
            : [];
        await tools.RaiseClassAsync(run, context.Chunks.Select(chunk => chunk.PrivacyClass));
    }

    private static List<RetrievedChunk> Budgeted(IReadOnlyList<RetrievedChunk> found)
    {
        var (kept, tokens) = (new List<RetrievedChunk>(), 0);
        foreach (var chunk in found)
        {
            tokens += TokenCounter.Estimate(chunk.Chunk.Text);
            if (tokens > PromptBuilder.ChunkTokensMax && kept.Count > 0)
            {
                break;
            }

            kept.Add(chunk);
        }

        return kept;
    }

    /// <summary>The call that is open already when it still holds, else a new one with its hold.</summary>
    private async Task<PlannedCall> ReadyCallAsync(LiveRun run, RunContext context, PlannedCall? plan)
    {
        if (plan is not null && plan.PrivacyClass == run.State.PrivacyClass)
        {
            return plan;
        }

        await ending.WriteAsync(run, [], new CallEnd("abandoned", 0, 0));
        var next = PlanCall(run, context, run.State.FailedRoutes);
        await HoldAsync(run, next);
        failpoints.Hit(Failpoints.LoopHeld);
        return next;
    }

    private PlannedCall PlanCall(LiveRun run, RunContext context, HashSet<RouteKey> failed)
    {
        var state = run.State;
        var payer = run.Head.Payer;
        var question = new CallQuestion
        {
            PrivacyClass = state.PrivacyClass,
            BuiltInOnly = payer.Mode == "test",
            FixedTokens = PromptBuilder.FixedTokens(context, state, state.Admitted.Input),
            Available = database.Read(session => CreditLedger.ReadAvailable(session, payer.AccountId, payer.Mode)),
            CreditsMax = state.Admitted.Options.CreditsMax,
            UpstreamSoFar = state.Upstream,
            ChargedSoFar = state.Charged,
            Excluded = failed,
        };
        try
        {
            return planner.Plan(context, question);
        }
        catch (ApiException error) when (error.Code == ApiErrorCodes.ProviderUnavailable
            && context.Config.BuiltinFallback && failed.All(static route => route.Model != QuoteModel.Id))
        {
            return planner.Plan(context, question with { UseBuiltIn = true });
        }
    }

    private Task HoldAsync(LiveRun run, PlannedCall plan)
    {
        var started = plan.Started(run.State.CallCount + 1);
        return log.AppendAsync(run, (session, at) =>
        {
            ledger.Hold(session, run.Head.Payer, run.RunId, started.Call, plan.Hold, at);
            return [started];
        });
    }

    private async Task CallModelAsync(
        LiveRun run, RunContext context, PlannedCall plan, CancellationToken cancellationToken)
    {
        var prompt = PromptBuilder.Build(context, run.State, plan.Route.Model, plan.OutputTokensMax);
        if (prompt.TurnsLeftOut > 0)
        {
            await log.AppendAsync(run, [new ContextTrimmed(prompt.TurnsLeftOut)]);
        }

        cancellationToken.ThrowIfCancellationRequested(); // Nothing left yet, so nothing is owed.
        failpoints.Hit(Failpoints.LoopAsked);
        var call = calls.Prepare(run, context, plan, prompt);
        try
        {
            if (call.Visit is null)
            {
                await FailOverAsync(run, context, call, new ProviderException(
                    ProviderFault.Busy, $"{call.Route.Provider} is asked by as many as it may be, or not at all."));
                return;
            }

            call = await calls.AskAsync(run, call, one => HedgeAsync(run, context, one), cancellationToken);
            await call.ReadAsync();
            calls.Succeeded(call);
            await FinishCallAsync(run, context, call);
        }
        catch (ProviderException error)
        {
            calls.Failed(run, call, error);
            await FailOverAsync(run, context, call, error);
        }
        catch (OperationCanceledException) when (run.IsCancelRequested || !run.IsStopped)
        {
            call.SayRest();
            await ending.WriteAsync(run, call.UnwrittenUnchecked, call.Counted("cancelled"));
            throw;
        }
        finally
        {
            call.Leave();
        }
    }

    /// <summary>The next route's call with its hold, not sent yet; null: the first stays alone.</summary>
    private async Task<ModelCall?> HedgeAsync(LiveRun run, RunContext context, ModelCall first)
    {
        ModelCall? second = null;
        try
        {
            var plan = PlanCall(run, context, new HashSet<RouteKey>(run.State.FailedRoutes) { first.Route });
            var prompt = PromptBuilder.Build(context, run.State, plan.Route.Model, plan.OutputTokensMax);

            // It is there to answer sooner, not from less or more shortly.
            if (!plan.Route.Model.IsBuiltIn && !plan.CutByCredits && prompt.TurnsLeftOut <= first.Prompt.TurnsLeftOut)
            {
                plan = plan.AsHedgeOf(first.Plan);
                second = calls.Prepare(run, context, plan, prompt);
                if (second.Visit is not null)
                {
                    await HoldAsync(run, plan);
                    return second;
                }
            }
        }
        catch (ApiException)
        {
            // Nothing else is permitted or left, or the balance does not cover a second hold.
            second?.Leave();
        }
        catch
        {
            second?.Leave();
            throw;
        }

        return null;
    }

    // Free until the first text; after it the reader drops what came and another route answers. The lost attempt is the
    // operator's when another route takes over, and the caller's when nobody does.
    private async Task FailOverAsync(
        LiveRun run, RunContext context, ModelCall call, ProviderException error)
    {
        var newest = run.State.NewestCall!;
        var failed = new HashSet<RouteKey>(run.State.FailedRoutes) { new(newest.Model, newest.Provider) };
        var mayGoOn = !call.HasSpoken || (context.Config.MidstreamFallback && context.Chat is null);
        if (mayGoOn && CanGoOn(run, context, failed))
        {
            var reset = call.HasSpoken ? Reset(run, "provider_fallback") : [];
            await ending.WriteAsync(run, call.Unwritten, End() with { IsLost = call.HasHeard }, reset);
            return;
        }

        if (call.HasSpoken)
        {
            call.SayRest();
        }

        // What came and nobody was shown is nobody's bill but the operator's.
        var end = End() with { IsLost = call.HasHeard && !call.HasSpoken };
        await ending.WriteAsync(run, call.Unwritten, end, new RunFailed(
            ApiErrorCodes.ProviderUnavailable.Code, error.Fault == ProviderFault.BadRequest
                ? "No permitted provider answered; the last one refused what was asked, and would again."
                : "No permitted provider answered.")
        {
            RetryAfterSeconds = error.RetryAfterSeconds ?? RetryAfterSeconds,
            Cause = error.Fault.ToString(),
        });

        CallEnd End() => (call.HasHeard ? call.Counted("failed") : new CallEnd("failed", 0, 0)) with
        {
            Fault = error.Fault.ToString(),
        };
    }

    private bool CanGoOn(LiveRun run, RunContext context, HashSet<RouteKey> failed)
    {
        try
        {
            return PlanCall(run, context, failed) is not null;
        }
        catch (ApiException)
        {
            return false;
        }
    }

    private async Task FinishCallAsync(LiveRun run, RunContext context, ModelCall call)
    {
        failpoints.Hit(Failpoints.LoopAnswered);
        var end = call.Completed();
        var forCaller = call.ToolCalls.Where(one => one.Action.Length == 0 && context.IsForCaller(one.Tool)).ToList();
        if (forCaller.Count > 0)
        {
            // The caller's next request brings the results. What the model asked of the server beside them is left
            // out, for its results would have nobody to go to.
            await ending.WriteAsync(
                run, call.UnwrittenUnchecked, end with { ToolCalls = forCaller }, new RunCompleted());
        }
        else if (call.ToolCalls.Count + run.State.ToolCalls.Count > Limits(context).MaxToolCalls)
        {
            await ending.WriteAsync(run, call.UnwrittenUnchecked, end with { ToolCalls = [] },
                Exceeded("The model asked for more tool calls than max_tool_calls.", "limits.max_tool_calls"));
        }
        else if (call.ToolCalls.Count > 0)
        {
            var drop = context.OutputSchema is not null && call.HasSpoken && !context.Config.StrictCitations;
            await ending.WriteAsync(run, call.UnwrittenUnchecked, end, drop ? [new OutputReset("tool_step")] : []);
        }
        else
        {
            var finished = new ModelCallEnd(end.FinishReason, call.Plan.CutByCredits);
            var sources = call.Unwritten.OfType<SourcesFound>().LastOrDefault()?.Sources ?? run.State.Sources;
            var outcome = Conclude(run, context, finished, call.Text, sources);
            await ending.WriteAsync(
                run, outcome[^1] is RunCompleted ? call.Unwritten : call.UnwrittenUnchecked, end, outcome);
        }

        failpoints.Hit(Failpoints.LoopCallEnded);
    }

    /// <summary>
    /// What follows from an answer: the run's end, with the quotes that hold it, or one more try where it does not fit
    /// the schema.
    /// </summary>
    private static List<RunEventData> Conclude(
        LiveRun run, RunContext context, ModelCallEnd end, string text, IReadOnlyList<RunSource> sources)
    {
        if (end.CutByCredits && end.FinishReason == ChatFinishReason.Length.Value)
        {
            return [Exceeded("The answer was ended by max_credits.", "max_credits")];
        }

        if (context.OutputSchema is not { } schema || OutputCheck.Complain(schema, text) is not { } complaint)
        {
            return CitationCheck.Conclude(context, run.State, text, sources);
        }

        if (run.State.SchemaRetried)
        {
            return
            [
                new RunFailed(
                    ApiErrorCodes.OutputInvalid.Code, "The output does not match output_schema after one retry.")
                {
                    Param = "output_schema",
                },
            ];
        }

        context.SchemaComplaint = complaint;
        return [new OutputReset("schema_retry")];
    }

    // A reset drops all text, so what earlier steps said is said again.
    internal static List<RunEventData> Reset(LiveRun run, string reason)
    {
        var events = new List<RunEventData> { new OutputReset(reason) };
        foreach (var step in run.State.Steps.Where(step => step.Text.Length > 0))
        {
            var text = events.Count > 1 ? "\n\n" + step.Text : step.Text;
            events.AddRange(DeltaSplitter.Cut(text).Select(piece => new MessageDelta(piece) { OutsideStep = true }));
        }

        return events;
    }

    private Task EndAsync(LiveRun run, RunEventData terminal) =>
        ending.WriteAsync(run, [], new CallEnd("abandoned", 0, 0), terminal);

    private static RunFailed Exceeded(string message, string param) =>
        new(ApiErrorCodes.RunLimitExceeded.Code, message) { Param = param };

    private static AgentLimits Limits(RunContext context) => context.Config.Limits;

    private static TimeSpan Positive(int seconds, TimeSpan spent)
    {
        var left = TimeSpan.FromSeconds(seconds) - spent;
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }
}
