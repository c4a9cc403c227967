using System.Text.Json;
using Reeve.Server.Agents;
using Reeve.Server.Conversations;
using Reeve.Server.Http;
using Reeve.Server.Retrieval;
using Reeve.Server.Storage;
using Reeve.Server.Tools;

namespace Reeve.Server.Runs;

/// <summary>
/// Gathers what a run's owner works with: for a new run from the request, for an old one from its log.
/// </summary>
internal sealed class RunContexts(Database database, AgentStore agents, ToolCatalog tools, Documents documents)
{
    internal RunContext Create(AgentVersion agent, StartRun start, ConversationHistory history) => Create(
        start.Tenant, agent, history, start.OutputSchema,
        InstructionTemplate.Render(agent.Config.Instructions,
            new TemplateValues(start.UserId, start.UserName, start.UserMetadata, start.Metadata)), start.Chat);

    /// <summary>For embeddings and a chat that names no agent.</summary>
    internal static RunContext Create(StartRun start) => new()
    {
        AgentId = null,
        Config = AgentConfig.New with
        {
            Model = start.Embedding?.Model ?? start.Chat!.Model!,
            Temperature = start.Chat?.Temperature,
        },
        Instructions = "",
        History = ConversationHistory.None,
        Tools = ToolSet.Empty,
        HasDocuments = false,
        Chat = start.Chat,
        Embedding = start.Embedding,
    };

    /// <summary>
    /// For a run whose turn came or that was taken over; null when its agent is gone. A run without a conversation
    /// never is.
    /// </summary>
    internal RunContext? Load(RunHead head, RunAdmitted admitted) => database.Read(session =>
    {
        var reference = $"{admitted.AgentId}@{admitted.AgentVersion}";
        if (agents.Resolve(session, head.Tenant, reference) is not { } agent)
        {
            return null;
        }

        var history = MessageReader.History(
            session, head.Tenant, head.ConversationId!, PromptBuilder.HistoryCharactersMax, head.Ordinal);
        return Create(head.Tenant, agent, history, admitted.Options.OutputSchema,
            InstructionTemplate.Render(agent.Config.Instructions, new TemplateValues(
                Text(admitted.User, "id"),
                Text(admitted.User, "name"),
                admitted.User is { } user && user.TryGetProperty("metadata", out var metadata) ? metadata : null,
                admitted.Metadata)));
    });

    private RunContext Create(
        TenantContext tenant, AgentVersion agent, ConversationHistory history, JsonElement? schema, string instructions,
        ChatRequest? chat = null)
    {
        var hasDocuments = documents.HasReady(tenant, agent.AgentId);
        var offered = tools.Offer(agent.Config.Tools, hasDocuments);
        if (chat?.Functions.FirstOrDefault(own => offered.Find(own.Name) is not null) is { } twice)
        {
            throw ApiException.Invalid($"tools has {twice.Name}, which is a function of the agent already.", "tools");
        }

        return new RunContext
        {
            AgentId = agent.AgentId,
            Config = agent.Config,
            Chat = chat,
            Instructions = !agent.Config.StrictCitations ? instructions
                : instructions.Length == 0 ? CitationCheck.Instruction
                : instructions + "\n\n" + CitationCheck.Instruction,
            History = history,
            Tools = offered,
            HasDocuments = hasDocuments,
            HasSealedDocuments = documents.HasSealed(tenant, agent.AgentId),
            OutputSchema = schema is { } element ? JsonSchema.Parse(element) : null,
            OutputSchemaElement = schema,
        };
    }

    private static string? Text(JsonElement? user, string name) =>
        user is { } element && element.TryGetProperty(name, out var value) ? value.GetString() : null;
}
