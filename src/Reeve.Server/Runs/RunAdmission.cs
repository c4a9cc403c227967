using System.Text.Json;
using Reeve.Server.Agents;
using Reeve.Server.Conversations;
using Reeve.Server.Credits;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// Lets a run in, or refuses it and leaves nothing behind.
/// </summary>
/// <remarks>
/// <code>
/// 1 look    idempotency record, agent, conversation, its history       replay, 404, 409, 429
/// 2 plan    class, route, size of the first hold                       422
/// 3 commit  ONE transaction: look again, hold, conversation, run row, run.admitted, model_call.started,
///           idempotency record                                         402
/// </code>
/// Looking and planning happen outside the writer, so that the writer is short; when the conversation moved in between,
/// admission begins anew.
/// </remarks>
internal sealed class RunAdmission(
    Database database, AgentStore agents, RunLog log, RunHost host, RunContexts contexts, RunPlanner planner,
    CreditLedger ledger, CreditOptions credits, Capacity capacity, IdGenerator ids, TimeProvider time,
    Failpoints failpoints)
{
    private const int QueuedMax = 10;
    private const int TriesMax = 20;
    private static readonly JsonElement NoMetadata = JsonElement.Parse("{}");

    /// <summary>
    /// For the first moment of a request, before its body is read: refuses what would be refused later, at more cost.
    /// </summary>
    internal void RefuseAtTheDoor()
    {
        host.RefuseWhenStopping();
        capacity.Runs.RefuseWhenFull();
    }

    internal async Task<Admission> AdmitAsync(StartRun start)
    {
        RefuseAtTheDoor();
        for (var tries = 0; tries < TriesMax; tries++)
        {
            if (await TryAsync(start, isFirstTry: tries == 0) is { } admission)
            {
                return admission;
            }
        }

        throw new ApiException(ApiErrorCodes.ConversationBusy,
            "The conversation changes too fast; another run may be active.", "conversation_id");
    }

    /// <summary>Null: what was looked at moved meanwhile, or an active run had to be ended first.</summary>
    private async Task<Admission?> TryAsync(StartRun start, bool isFirstTry)
    {
        var look = (isFirstTry ? LookBack(start) : null) ?? database.Read(session => Look(session, start));
        failpoints.Hit(Failpoints.AdmitLooked);
        if (look.Replay is { } replay)
        {
            return replay;
        }

        if (look.Open.Count > 0 && start.OnBusy == OnBusy.Interrupt)
        {
            await host.CancelAllAsync(start.Tenant, look.Open);
            return null;
        }

        var queue = look.Open.Count > 0;
        var context = look.Agent is { } agent
            ? contexts.Create(agent, start, look.History!)
            : RunContexts.Create(start);
        var privacyClass = PrivacyClasses.Stricter(
            PrivacyClasses.Stricter(start.PrivacyClass, context.Config.PrivacyClass), look.History!.Strictest);
        var cap = CreditsMax(start, context.Config);
        PlannedCall plan;
        try
        {
            plan = planner.Plan(context, new CallQuestion
            {
                PrivacyClass = privacyClass,
                BuiltInOnly = start.Payer.Mode == "test",
                FixedTokens = PromptBuilder.FixedTokens(context, null, start.Input),
                Available = look.Available,
                CreditsMax = cap,
            });
        }
        catch (ApiException) when (look.IsRemembered)
        {
            return null; // What is remembered may be out of date, and a cap that is reached comes before a route.
        }

        var call = queue ? null : plan;
        var isSealed = start.IsSealed || privacyClass == PrivacyClass.Confidential || context.HasSealedDocuments;
        var (run, events) = Prepare(start, look, context.Config, privacyClass, cap, call, isSealed);
        await run.Turn.WaitAsync(); // Nobody may begin or cancel it before its first events are published.
        log.Admit(run);
        Admission? other;
        try
        {
            failpoints.Hit(Failpoints.AdmitBeforeCommit);
            other = await database.WriteAsync(session => Commit(session, start, look, run, events, call));
        }
        catch
        {
            Drop(run);
            throw;
        }

        if (other is not null)
        {
            Drop(run);
            return other.IsReplay ? other : null;
        }

        try
        {
            failpoints.Hit(Failpoints.AdmitCommitted);
            run.Publish(events);
            failpoints.Hit(Failpoints.AdmitPublished);
        }
        finally
        {
            run.Turn.Release(); // The run is there, whatever befalls this request; somebody must own it.
            host.Take(run, context, call);
        }

        return new Admission(run.RunId, run, IsReplay: false);
    }

    private void Drop(LiveRun run)
    {
        log.Forget(run);
        run.Dispose();
    }

    /// <summary>Null: committed. A replay: another request with the key was faster. Otherwise: look again.</summary>
    private Admission? Commit(
        DbSession session, StartRun start, AdmissionLook look, LiveRun run, IReadOnlyList<RunEvent> events,
        PlannedCall? call)
    {
        if (FindReplay(session, start) is { } replay)
        {
            return replay;
        }

        if (look.Agent is { } agent && (look.IsRemembered
            ? !AgentStore.IsNewest(session, start.Tenant, agent)
            : !AgentStore.IsThere(session, start.Tenant, agent.AgentId)))
        {
            return new Admission(run.RunId, null, IsReplay: false);
        }

        var limit = look.Agent?.Config.ConversationLimit ?? 0;
        if (start.ConversationId is { } conversationId)
        {
            CheckConversation(session, start.Tenant, conversationId, look.Agent!.AgentId);
            var open = RunStore.OpenOf(session, start.Tenant, conversationId);
            if (RunStore.NextOrdinal(session, conversationId) != run.Head.Ordinal || open.Count > 0 != (call is null))
            {
                return new Admission(run.RunId, null, IsReplay: false);
            }

            RefuseWhenBusy(start, open);
        }
        else if (start.HasConversation)
        {
            ConversationStore.RequireRoom(session, start.Tenant, look.Agent!.AgentId, limit);
        }

        if (call is not null)
        {
            ledger.Hold(session, run.Head.Payer, run.RunId, 1, call.Hold, events[^1].At);
        }

        if (start.ConversationId is null && start.HasConversation)
        {
            ConversationStore.Insert(session, start.Tenant, NewConversation(start, run), limit);
        }
        else if (start.ConversationId is not null && run.Head.Ordinal == 1)
        {
            ConversationStore.SetTitleIfEmpty(
                session, start.Tenant, start.ConversationId, Title.From(start.Input), run.Head.IsSealed);
        }

        RunStore.Insert(session, run, call is null ? RunStatuses.Queued : RunStatuses.Running);
        RunLog.Insert(session, run, events);
        if (start.Idempotency is { } scope)
        {
            RunStore.InsertRecord(session, scope, run.RunId, run.State.CreatedAt);
        }

        failpoints.Hit(Failpoints.AdmitInCommit);
        return null;
    }

    private static Conversation NewConversation(StartRun start, LiveRun run) => new()
    {
        Id = run.Head.ConversationId!,
        AgentId = run.Head.AgentId!,
        Title = Title.From(start.Input),
        Status = ConversationStatuses.Active,
        User = start.User,
        Metadata = start.Metadata ?? NoMetadata,
        CreatedAt = run.State.CreatedAt,
        UpdatedAt = run.State.CreatedAt,
        IsSealed = run.Head.IsSealed,
    };

    /// <summary>
    /// A new conversation with an agent that was seen before and names its model needs no look at the database: the
    /// commit finds out whether what is remembered still holds.
    /// </summary>
    private AdmissionLook? LookBack(StartRun start) =>
        start.ConversationId is null && start.Idempotency is null
        && start.Agent is not null && agents.Recall(start.Tenant, start.Agent) is { } agent
        && !ModelCatalog.IsRouterMode(agent.Config.Model)
            ? new AdmissionLook { Agent = agent, History = ConversationHistory.None, IsRemembered = true }
            : null;

    private AdmissionLook Look(DbSession session, StartRun start)
    {
        if (FindReplay(session, start) is { } replay)
        {
            return new AdmissionLook { Replay = replay };
        }

        var agent = start.Agent is null ? null : agents.ResolveAndRemember(session, start.Tenant, start.Agent)
            ?? throw ApiException.NotFound("agent", start.Chat is null ? "agent" : "model");
        var available = CreditLedger.ReadAvailable(session, start.Payer.AccountId, start.Payer.Mode);
        if (start.ConversationId is not { } conversationId)
        {
            if (start.HasConversation)
            {
                ConversationStore.RequireRoom(session, start.Tenant, agent!.AgentId, agent.Config.ConversationLimit);
            }

            return new AdmissionLook { Agent = agent, History = ConversationHistory.None, Available = available };
        }

        CheckConversation(session, start.Tenant, conversationId, agent!.AgentId);
        var open = RunStore.OpenOf(session, start.Tenant, conversationId);
        RefuseWhenBusy(start, open);
        return new AdmissionLook
        {
            Agent = agent,
            Open = open,
            History = MessageReader.History(
                session, start.Tenant, conversationId, PromptBuilder.HistoryCharactersMax),
            Available = available,
        };
    }

    private Admission? FindReplay(DbSession session, StartRun start)
    {
        if (start.Idempotency is not { } scope
            || RunStore.FindRecord(session, scope, time.GetUtcNow()) is not { } record)
        {
            return null;
        }

        if (!record.IsSameRequest)
        {
            throw new ApiException(ApiErrorCodes.IdempotencyMismatch,
                "This Idempotency-Key was used with another body.", "Idempotency-Key");
        }

        return RunStore.Find(session, start.Tenant, record.RunId) is null
            ? throw ApiException.NotFound("run")
            : new Admission(record.RunId, log.Find(start.Tenant, record.RunId), IsReplay: true);
    }

    private static void CheckConversation(
        DbSession session, TenantContext tenant, string conversationId, string agentId)
    {
        var conversation = ConversationStore.Find(session, tenant, conversationId);
        if (conversation?.AgentId != agentId)
        {
            throw ApiException.NotFound("conversation", "conversation_id");
        }

        if (conversation.Status == ConversationStatuses.Ended)
        {
            throw new ApiException(ApiErrorCodes.ConversationEnded,
                "The conversation was ended; begin a new one or set its status to active.", "conversation_id")
            {
                ConversationId = conversationId,
            };
        }
    }

    private static void RefuseWhenBusy(StartRun start, List<OpenRun> open)
    {
        if (open.Count == 0 || start.OnBusy == OnBusy.Interrupt
            || (start.OnBusy == OnBusy.Queue && open.Count(run => run.Status == RunStatuses.Queued) < QueuedMax))
        {
            return;
        }

        throw new ApiException(ApiErrorCodes.ConversationBusy,
            start.OnBusy == OnBusy.Queue
                ? $"The conversation has {QueuedMax} waiting runs already."
                : "Another run of this conversation is active.",
            "conversation_id")
        {
            RunId = open[0].Head.RunId,
            ConversationId = start.ConversationId,
        };
    }

    private long? CreditsMax(StartRun start, AgentConfig config)
    {
        var ofAgent = config.Limits.MaxCreditsPerRun is { } limit
            ? (long?)decimal.Floor(limit * credits.MicroUsdPerCredit)
            : null;
        return start.CreditsMax is { } asked && ofAgent is { } own ? Math.Min(asked, own) : start.CreditsMax ?? ofAgent;
    }

    private (LiveRun Run, IReadOnlyList<RunEvent> Events) Prepare(
        StartRun start, AdmissionLook look, AgentConfig config, PrivacyClass privacyClass, long? cap,
        PlannedCall? call, bool isSealed)
    {
        var head = new RunHead
        {
            RunId = ids.New(Id.Run),
            AgentId = look.Agent?.AgentId,
            ConversationId = start.HasConversation ? start.ConversationId ?? ids.New(Id.Conversation) : null,
            Ordinal = (int)look.History!.LastOrdinal + 1,
            Payer = start.Payer,
            UserId = start.UserId,
            RequestId = start.RequestId,
            IsSealed = isSealed,
        };
        var run = new LiveRun(head, new RunState(head.RunId, credits),
            isSealed ? database.Read(session => session.ContentKey(start.Tenant)) : null);
        var admitted = new RunAdmitted
        {
            AgentId = head.AgentId,
            AgentVersion = look.Agent?.Number,
            ConversationId = head.ConversationId,
            UserMessageId = ids.New(Id.Message),
            MessageId = ids.New(Id.Message),
            ReceiptId = ids.New(Id.Receipt),
            Kind = start.Kind,
            Tier = ModelCatalog.IsRouterMode(config.Model) ? config.Model : "direct",
            Mode = start.Payer.Mode,
            PrivacyClass = privacyClass.Word(),
            Input = start.Input,
            User = start.User,
            Metadata = start.Metadata,
            Options = new RunOptions
            {
                CreditsMax = cap,
                OutputSchema = start.OutputSchema,
                Whole = start.Whole,
                CancelOnDisconnect = start.CancelOnDisconnect,
            },
            Queued = call is null,
            Chat = start.Chat?.Admitted,
            Embedding = start.Embedding?.Admitted,
        };
        var events = log.Seal(run, call is null ? [admitted] : [admitted, call.Started(1)]);
        run.Advance(events);
        return (run, events);
    }

    private sealed record AdmissionLook
    {
        internal Admission? Replay { get; init; }

        internal AgentVersion? Agent { get; init; }

        internal ConversationHistory? History { get; init; }

        internal List<OpenRun> Open { get; init; } = [];

        /// <summary>Null where the route does not depend on it.</summary>
        internal long? Available { get; init; }

        /// <summary>True when the agent comes from memory and may have changed.</summary>
        internal bool IsRemembered { get; init; }
    }
}
