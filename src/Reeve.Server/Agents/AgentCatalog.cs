using System.Text.Json;
using Reeve.Server.Audit;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Agents;

/// <summary>What an account does with its agents: the rules, the ids and the times.</summary>
internal sealed class AgentCatalog(
    Database database,
    AgentStore store,
    AgentInput input,
    IdGenerator ids,
    TimeProvider time,
    CancelRuns cancelRuns,
    EraseDocuments eraseDocuments,
    EraseConversations eraseConversations)
{
    private const int BusyTriesMax = 10;

    internal Task<Agent> CreateAsync(TenantContext tenant, JsonElement body)
    {
        var config = input.Read(body, null);
        return database.WriteAsync(session =>
        {
            var id = ids.New(Id.Agent);
            var version = new AgentVersion
            {
                AgentId = id,
                Number = 1,
                Config = config with { Slug = FreeSlug(session, tenant, id, config) },
                CreatedAt = time.GetUtcNow(),
            };
            AgentStore.Insert(session, tenant, version);
            AuditLog.Append(
                session, tenant, AuditTypes.AgentCreated, id, version.CreatedAt, AgentStore.Facts(version));
            return store.Find(session, tenant, new AgentReference(id, null, null))!;
        });
    }

    internal Task<Agent> PatchAsync(TenantContext tenant, string reference, int? ifVersion, JsonElement body)
    {
        var named = ParseWhole(reference);
        return database.WriteAsync(session =>
        {
            // The fields before the id: a body that no agent could take is refused whether the agent exists or not.
            var agent = store.Find(session, tenant, named);
            var config = input.Read(body, agent?.Version.Config ?? AgentConfig.New);
            if (agent is null)
            {
                throw ApiException.NotFound("agent");
            }

            if (ifVersion is { } expected && expected != agent.Version.Number)
            {
                throw new ApiException(ApiErrorCodes.Conflict,
                    $"The agent is at version {agent.Version.Number}, not {expected}.", "If-Match");
            }

            var version = agent.Version with
            {
                Number = agent.Version.Number + 1,
                Config = config with { Slug = FreeSlug(session, tenant, agent.Id, config) },
                CreatedAt = time.GetUtcNow(),
            };
            AgentStore.Advance(session, tenant, version);
            AuditLog.Append(session, tenant, AuditTypes.AgentChanged, agent.Id, version.CreatedAt,
                AgentStore.Facts(version));
            return store.Find(session, tenant, new AgentReference(agent.Id, null, null))!;
        });
    }

    /// <summary>Cancels what runs, then erases in bounded steps; the agent goes with the last of them.</summary>
    internal async Task DeleteAsync(TenantContext tenant, string reference)
    {
        var agentId = database.Read(session => Require(session, tenant, ParseWhole(reference)).Id);
        for (var busyTries = 0; busyTries < BusyTriesMax;)
        {
            await cancelRuns(tenant, agentId);
            ErasureStep step;
            do
            {
                step = await database.WriteAsync(session => EraseStep(session, tenant, agentId));
            }
            while (step == ErasureStep.Unfinished);

            if (step == ErasureStep.Finished)
            {
                return;
            }

            busyTries++; // A run was admitted between the cancelling and the erasing.
        }

        throw new ApiException(
            ApiErrorCodes.Unavailable, "New runs of this agent keep starting; stop them and try again.")
        {
            RetryAfterSeconds = 1,
        };
    }

    internal Agent Get(TenantContext tenant, string reference) => AgentReference.TryParse(reference, out var named)
        ? database.Read(session => Require(session, tenant, named))
        : throw ApiException.NotFound("agent");

    internal Page<Agent> List(TenantContext tenant, string? slug, PageQuery page) => Page<Agent>.Of(
        database.Read(session => store.List(session, tenant, slug, page.Limit, page.After)),
        page.Limit, agent => agent.Id);

    internal Page<Agent> Versions(TenantContext tenant, string reference, int limit, int? before) => Page<Agent>.Of(
        database.Read(session =>
            store.Versions(session, tenant, Require(session, tenant, ParseWhole(reference)).Id, limit, before)),
        limit, agent => agent.Version.Number.ToString(System.Globalization.CultureInfo.InvariantCulture));

    internal Agent Version(TenantContext tenant, string reference, int number) => database.Read(session =>
        Require(session, tenant, ParseWhole(reference) with { Version = number }, "agent version"));

    private ErasureStep EraseStep(DbSession session, TenantContext tenant, string agentId)
    {
        var step = eraseConversations(session, tenant, agentId, time.GetUtcNow());
        if (step == ErasureStep.Finished)
        {
            eraseDocuments(session, tenant, agentId);
            AgentStore.Delete(session, tenant, agentId);
            AuditLog.Append(session, tenant, AuditTypes.AgentDeleted, agentId, time.GetUtcNow());
        }

        return step;
    }

    private Agent Require(DbSession session, TenantContext tenant, AgentReference named, string what = "agent") =>
        store.Find(session, tenant, named) ?? throw ApiException.NotFound(what);

    private static string FreeSlug(DbSession session, TenantContext tenant, string agentId, AgentConfig config)
    {
        if (config.Slug.Length == 0)
        {
            return AgentSlug.Derive(
                config.Name, agentId, slug => AgentStore.SlugIsTaken(session, tenant, slug, agentId));
        }

        return AgentStore.SlugIsTaken(session, tenant, config.Slug, agentId)
            ? throw new ApiException(ApiErrorCodes.Conflict, "Another agent of this account has this slug.", "slug")
            : config.Slug;
    }

    private static AgentReference ParseWhole(string reference)
    {
        if (!AgentReference.TryParse(reference, out var named))
        {
            throw ApiException.NotFound("agent");
        }

        return named.Version is null
            ? named
            : throw ApiException.Invalid("Versions never change; name the agent without @N here.", "id");
    }
}
