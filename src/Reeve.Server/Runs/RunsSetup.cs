using Reeve.Server.Agents;
using Reeve.Server.Conversations;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

internal static class RunsSetup
{
    internal static void AddRuns(this IServiceCollection services)
    {
        services.AddSingleton<DataPreparation>(static provider =>
            session => AuditStart.Prepare(session, provider.GetRequiredService<TimeProvider>().GetUtcNow()));
        services.AddSingleton(static provider =>
            new PersonalData(provider.GetRequiredService<ReeveOptions>().Privacy.Patterns));
        services.AddSingleton<Capacity>();
        services.AddSingleton<RunLog>();
        services.AddSingleton<RunReader>();
        services.AddSingleton<RunPlanner>();
        services.AddSingleton<RunContexts>();
        services.AddSingleton<RunEnding>();
        services.AddSingleton<ToolStep>();
        services.AddSingleton<EmbeddingStep>();
        services.AddSingleton<ModelCalls>();
        services.AddSingleton<RunLoop>();
        services.AddSingleton<RunRecovery>();
        services.AddSingleton<RunAdmission>();
        services.AddSingleton<RunHost>();
        services.AddHostedService(static provider => provider.GetRequiredService<RunHost>());
        services.AddHostedService<Drain>();
        services.AddSingleton<PayerBudgets>(static provider =>
        {
            var database = provider.GetRequiredService<Database>();
            return payer => database.Read(session => Payers.WithBudgets(session, payer));
        });
        services.AddSingleton<KnownModel>(static provider =>
        {
            var catalog = provider.GetRequiredService<ModelCatalog>();
            return name => ModelCatalog.IsRouterMode(name) || catalog.Find(name) is not null;
        });
        services.AddSingleton<AgentResolver>(static provider =>
        {
            var database = provider.GetRequiredService<Database>();
            var agents = provider.GetRequiredService<AgentStore>();
            return (tenant, reference) =>
                database.Read(session => agents.Resolve(session, tenant, reference)) is { } agent
                    ? (agent.AgentId, agent.Config.PrivacyClass) : null;
        });
        services.AddSingleton<EraseDocuments>(static _ => Documents.DeleteOfAgent);
        services.AddSingleton<CancelRuns>(static provider => (tenant, agentId) =>
            CancelAsync(
            provider, tenant, session => RunStore.OpenOfAgent(session, tenant, agentId)));
        services.AddSingleton<CancelConversationRuns>(static provider => (tenant, conversationId) =>
            CancelAsync(
            provider, tenant, session => RunStore.OpenOf(session, tenant, conversationId)));
    }

    private static Task CancelAsync(
        IServiceProvider provider, TenantContext tenant, Func<DbSession, List<OpenRun>> open) =>
        provider.GetRequiredService<RunHost>().CancelAllAsync(
            tenant, provider.GetRequiredService<Database>().Read(open));
}
