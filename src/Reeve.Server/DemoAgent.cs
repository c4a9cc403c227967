using Reeve.Server.Agents;
using Reeve.Server.Retrieval;

namespace Reeve.Server;

/// <summary>The agent that a newcomer meets: it answers questions about Reeve from Reeve's own documents.</summary>
internal static class DemoAgent
{
    private const string Slug = "demo";

    internal static async Task CreateAsync(
        IServiceProvider services, FirstStartState state, CancellationToken cancellationToken)
    {
        var agents = services.GetRequiredService<AgentCatalog>();
        var documents = services.GetRequiredService<Documents>();
        var known = agents.List(state.Tenant, Slug, new Http.PageQuery(1, null)).Data;
        var agent = known.Count > 0 ? known[0] : await agents.CreateAsync(state.Tenant, Body());
        state.DemoAgentId = agent.Id;
        foreach (var document in DemoDocuments.Read())
        {
            await documents.AddAsync(state.Tenant, agent.Id, document, cancellationToken);
        }
    }

    private static System.Text.Json.JsonElement Body() => System.Text.Json.JsonElement.Parse(
        """
        {"name":"Reeve demo","slug":"demo","model":"auto",
         "description":"Answers questions about Reeve from its own documents.",
         "instructions":"Answer from the documents about Reeve. When they do not answer the question, say so."}
        """);
}
