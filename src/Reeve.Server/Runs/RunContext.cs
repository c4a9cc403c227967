using System.Text.Json;
using Reeve.Server.Agents;
using Reeve.Server.Conversations;
using Reeve.Server.Retrieval;
using Reeve.Server.Tools;

namespace Reeve.Server.Runs;

/// <summary>What a run's owner works with beside the log: agent, earlier turns, functions and chunks.</summary>
internal sealed class RunContext
{
    internal required AgentVersion Agent { get; init; }

    internal required string Instructions { get; init; }

    internal required ConversationHistory History { get; init; }

    internal required ToolSet Tools { get; init; }

    internal required bool HasDocuments { get; init; }

    internal JsonSchema? OutputSchema { get; init; }

    internal JsonElement? OutputSchemaElement { get; init; }

    /// <summary>Null until the run has searched the agent's documents.</summary>
    internal IReadOnlyList<RetrievedChunk>? Chunks { get; set; }

    /// <summary>What was wrong with an answer that did not fit the output schema, for the second try.</summary>
    internal string? SchemaComplaint { get; set; }
}
