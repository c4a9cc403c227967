using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Agents;
using Reeve.Server.Conversations;
using Reeve.Server.Retrieval;
using Reeve.Server.Tools;

namespace Reeve.Server.Runs;

/// <summary>What a run's owner works with beside the log: agent, earlier turns, functions and chunks.</summary>
internal sealed class RunContext
{
    /// <summary>Null for embeddings and a chat without an agent.</summary>
    internal required string? AgentId { get; init; }

    /// <summary>The agent's settings; of a chat without one, those that its request amounts to.</summary>
    internal required AgentConfig Config { get; init; }

    /// <summary>What the caller of a chat brought.</summary>
    internal ChatRequest? Chat { get; init; }

    /// <summary>Set for embeddings, which nothing else here is about.</summary>
    internal EmbeddingRequest? Embedding { get; init; }

    internal required string Instructions { get; init; }

    internal required ConversationHistory History { get; init; }

    internal required ToolSet Tools { get; init; }

    /// <summary>What the model may call: the agent's functions and the caller's own.</summary>
    internal IEnumerable<AIFunctionDeclaration> Functions =>
        Tools.Functions.Select(static function => function.Declaration).Concat(Chat?.Functions ?? []);

    /// <summary>The most that a call may write, before the model's own limit.</summary>
    internal int OutputTokensMax =>
        Embedding is not null ? 0
        : AgentId is null ? Chat!.OutputTokensMax ?? Config.MaxOutputTokens
        : Math.Min(Config.MaxOutputTokens, Chat?.OutputTokensMax ?? int.MaxValue);

    /// <summary>
    /// True for a call that the server does not make: of the caller's own function, or of one that without an agent
    /// nobody but the caller can know.
    /// </summary>
    internal bool IsForCaller(string function) => Chat is not null
        && (AgentId is null || Chat.Functions.Any(own => own.Name == function));

    internal required bool HasDocuments { get; init; }

    /// <summary>True when the run may read a document that is encrypted.</summary>
    internal bool HasSealedDocuments { get; init; }

    internal JsonSchema? OutputSchema { get; init; }

    internal JsonElement? OutputSchemaElement { get; init; }

    /// <summary>Null until the run has searched the agent's documents.</summary>
    internal IReadOnlyList<RetrievedChunk>? Chunks { get; set; }

    /// <summary>What was wrong with an answer that did not fit the output schema, for the second try.</summary>
    internal string? SchemaComplaint { get; set; }
}
