using System.Text.Json;
using Reeve.Server.Agents;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Conversations;

/// <summary>What an account does with its conversations: the rules, the ids and the times.</summary>
internal sealed class ConversationCatalog(
    Database database,
    AgentStore agents,
    IdGenerator ids,
    TimeProvider time,
    CancelConversationRuns cancelRuns)
{
    private const int BusyTriesMax = 10;
    private const int ForkPage = 200;

    internal Task<ConversationView> CreateAsync(TenantContext tenant, JsonElement element)
    {
        var body = new RequestObject(element);
        var agentName = body.RequiredString("agent", 1, 200);
        var title = body.String("title", 1, 200) ?? "";
        var user = ConversationUser.Read(body);
        var metadata = body.Metadata("metadata") ?? JsonElement.Parse("{}");
        body.RejectUnknown();
        return database.WriteAsync(session =>
        {
            var agent = agents.Resolve(session, tenant, agentName) ?? throw ApiException.NotFound("agent", "agent");
            var now = time.GetUtcNow();
            return Insert(session, tenant, agent, new Conversation
            {
                Id = ids.New(Id.Conversation),
                AgentId = agent.AgentId,
                Title = title,
                Status = ConversationStatuses.Active,
                User = user,
                Metadata = metadata,
                CreatedAt = now,
                UpdatedAt = now,
                IsSealed = agent.Config.PrivacyClass == PrivacyClass.Confidential,
            });
        });
    }

    internal ConversationView Get(TenantContext tenant, string id) => database.Read(session =>
        View(session, tenant, Require(session, tenant, id)));

    internal Page<ConversationView> List(
        TenantContext tenant, string? agent, string? userId, string? status, PageQuery page) => database.Read(session =>
        {
            string? agentId = null;
            if (agent is not null)
            {
                agentId = agents.Resolve(session, tenant, agent)?.AgentId;
                if (agentId is null)
                {
                    return new Page<ConversationView>([], false, null);
                }
            }

            var found = ConversationStore.List(
                session, tenant, new ConversationFilter(agentId, userId, status), page.Limit, page.After);
            return Page<Conversation>.Of(found, page.Limit, conversation => conversation.Id)
                .Map(conversation => View(session, tenant, conversation));
        });

    internal Task<ConversationView> PatchAsync(TenantContext tenant, string id, JsonElement element) =>
        database.WriteAsync(session =>
        {
            var body = new RequestObject(element);
            var title = body.String("title", 1, 200);
            var status = body.Word("status", ConversationStatuses.Active, ConversationStatuses.Ended)
                ?? (body.Has("status") ? ConversationStatuses.Active : null);
            var metadata = body.Metadata("metadata");
            body.RejectUnknown();
            var old = Require(session, tenant, id);
            if (status == ConversationStatuses.Ended
                && ConversationStore.ActiveRun(session, tenant, old.Id) is { } activeRun)
            {
                throw new ApiException(ApiErrorCodes.ConversationBusy,
                    "A run of this conversation is active; cancel it or wait for its end.", "status")
                {
                    RunId = activeRun,
                };
            }

            var changed = old with
            {
                IsSealed = old.IsSealed || ConversationStore.HasSealedRun(session, tenant, old.Id)
                    || agents.Resolve(session, tenant, old.AgentId)?.Config.PrivacyClass == PrivacyClass.Confidential,
                Title = title ?? (body.Has("title") ? DerivedTitle(session, tenant, old.Id) : old.Title),
                Status = status ?? old.Status,
                Metadata = metadata is { } change
                    ? MetadataMerge.Apply(body, old.Metadata, change)
                    : body.Has("metadata") ? JsonElement.Parse("{}") : old.Metadata,
                UpdatedAt = time.GetUtcNow(),
            };
            ConversationStore.Update(session, tenant, changed);
            return View(session, tenant, changed);
        });

    /// <summary>Cancels what runs, then erases in bounded steps; the conversation goes with the last of them.</summary>
    internal async Task DeleteAsync(TenantContext tenant, string reference)
    {
        var id = database.Read(session => Require(session, tenant, reference).Id);
        for (var busyTries = 0; busyTries < BusyTriesMax; busyTries++)
        {
            await cancelRuns(tenant, id);
            ErasureStep step;
            do
            {
                step = await database.WriteAsync(session =>
                {
                    // Another call may have got here first; then this one deletes what is no more.
                    Require(session, tenant, id);
                    return Erasure.EraseConversation(session, tenant, id, time.GetUtcNow());
                });
            }
            while (step == ErasureStep.Unfinished);

            if (step == ErasureStep.Finished)
            {
                return;
            }
        }

        throw new ApiException(ApiErrorCodes.Unavailable,
            "New runs of this conversation keep starting; stop them and try again.")
        {
            RetryAfterSeconds = 1,
        };
    }

    internal Page<Message> Messages(
        TenantContext tenant, string id, int limit, string? after, bool newestFirst) => database.Read(session =>
        {
            var conversation = Require(session, tenant, id);
            MessagePosition? from = null;
            if (after is not null)
            {
                _ = MessageReader.TryLocate(session, tenant, conversation.Id, after, out var position);
                from = position;
            }

            return MessageReader.List(session, tenant, conversation.Id,
                new MessageQuery { Limit = limit, From = from, NewestFirst = newestFirst });
        });

    internal Task<ConversationView> ForkAsync(TenantContext tenant, string id, JsonElement element)
    {
        var body = new RequestObject(element);
        var messageId = body.String("message_id", 1, 200);
        body.RejectUnknown();
        return database.WriteAsync(session =>
        {
            var source = Require(session, tenant, id);
            var copied = UpTo(session, tenant, source.Id, messageId);
            var agent = agents.Resolve(session, tenant, source.AgentId) ?? throw ApiException.NotFound("conversation");
            var now = time.GetUtcNow();
            var fork = source with
            {
                IsSealed = source.IsSealed || ConversationStore.HasSealedRun(session, tenant, source.Id),
                Id = ids.New(Id.Conversation),
                Status = ConversationStatuses.Active,
                ForkedFrom = new ForkedFrom(source.Id, copied.Count == 0 ? null : copied[^1].Id),
                CreatedAt = now,
                UpdatedAt = now,
            };
            ConversationStore.Insert(session, tenant, fork, agent.Config.ConversationLimit);
            Copy(session, tenant, fork, copied);
            return View(session, tenant, fork);
        });
    }

    private static List<Message> UpTo(DbSession session, TenantContext tenant, string conversationId, string? messageId)
    {
        string? lastId = null;
        if (messageId is not null && !Id.TryParse(Id.Message, messageId, out lastId))
        {
            throw ApiException.NotFound("message", "message_id");
        }

        var found = new List<Message>();
        MessagePosition? from = null;
        while (true)
        {
            var query = new MessageQuery { Limit = ForkPage, From = from };
            var page = MessageReader.List(session, tenant, conversationId, query);
            foreach (var message in page.Data)
            {
                found.Add(message);
                if (message.Id == lastId)
                {
                    return found;
                }
            }

            if (!page.HasMore)
            {
                return lastId is null ? found : throw ApiException.NotFound("message", "message_id");
            }

            _ = MessageReader.TryLocate(session, tenant, conversationId, page.NextCursor!, out var position);
            from = position;
        }
    }

    // Each copy carries the strictest class so far: what was said under it may be in every later answer.
    private void Copy(DbSession session, TenantContext tenant, Conversation fork, List<Message> copied)
    {
        var strictest = PrivacyClass.Standard;
        for (var i = 0; i < copied.Count; i++)
        {
            strictest = PrivacyClasses.Stricter(strictest, copied[i].PrivacyClass);
            ConversationStore.InsertCopy(session, tenant, fork, i + 1, copied[i] with
            {
                Id = ids.New(Id.Message),
                PrivacyClass = strictest,
            });
        }
    }

    private static ConversationView Insert(
        DbSession session, TenantContext tenant, AgentVersion agent, Conversation conversation)
    {
        ConversationStore.Insert(session, tenant, conversation, agent.Config.ConversationLimit);
        return View(session, tenant, conversation);
    }

    private static string DerivedTitle(DbSession session, TenantContext tenant, string id)
    {
        var first = MessageReader.List(session, tenant, id, new MessageQuery { Limit = 1 }).Data;
        return first.Count == 0 ? "" : Title.From(first[0].Content);
    }

    private static ConversationView View(DbSession session, TenantContext tenant, Conversation conversation) =>
        new(conversation, ConversationStore.Sums(session, tenant, conversation.Id));

    private static Conversation Require(DbSession session, TenantContext tenant, string reference) =>
        (ConversationId.Parse(reference) is { } id ? ConversationStore.Find(session, tenant, id) : null)
            ?? throw ApiException.NotFound("conversation");
}
