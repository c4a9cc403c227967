using System.Text.Json;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;
using Reeve.Server.Tools;

namespace Reeve.Server.Agents;

/// <summary>An agent as one of its versions shows it; the newest is the published one.</summary>
internal sealed record Agent(AgentVersion Version, DateTimeOffset CreatedAt, long DocumentCount)
{
    internal string Id => Version.AgentId;
}

/// <summary>What an agent was told at one time. It never changes, so it may be shared and cached.</summary>
internal sealed record AgentVersion
{
    internal required string AgentId { get; init; }

    internal required int Number { get; init; }

    internal required AgentConfig Config { get; init; }

    internal required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>The settings of an agent (wire-mesh 3.1) with their defaults.</summary>
internal sealed record AgentConfig
{
    internal static readonly AgentConfig New = new() { Name = "", Slug = "" };

    internal required string Name { get; init; }

    internal required string Slug { get; init; }

    internal string Description { get; init; } = "";

    internal string Instructions { get; init; } = "";

    /// <summary>A router mode or a model of the catalogue.</summary>
    internal string Model { get; init; } = "auto";

    internal bool BuiltinFallback { get; init; }

    /// <summary>False: a provider that is lost after the first text ends the run.</summary>
    internal bool MidstreamFallback { get; init; } = true;

    /// <summary>True: an answer with a sentence that no retrieved chunk supports fails.</summary>
    internal bool StrictCitations { get; init; }

    internal PrivacyClass PrivacyClass { get; init; }

    /// <summary>Null: the provider's own.</summary>
    internal decimal? Temperature { get; init; }

    internal int MaxOutputTokens { get; init; } = 4_096;

    internal IReadOnlyList<ToolDefinition> Tools { get; init; } = [];

    internal int ConversationLimit { get; init; } = 10_000;

    internal AgentLimits Limits { get; init; } = new();

    internal JsonElement Metadata { get; init; } = JsonElement.Parse("{}");
}

/// <summary>Bounds of each run of the agent.</summary>
internal sealed record AgentLimits
{
    internal int MaxSteps { get; init; } = 16;

    internal int MaxToolCalls { get; init; } = 32;

    /// <summary>Time running; not queued, waiting for an action or without a server.</summary>
    internal int MaxRunSeconds { get; init; } = 660;

    internal decimal? MaxCreditsPerRun { get; init; }
}

/// <summary>True for a router mode or a model that the catalogue knows.</summary>
internal delegate bool KnownModel(string model);

/// <summary>Ends every active run of an agent; done when their last events are durable.</summary>
internal delegate Task CancelRuns(TenantContext tenant, string agentId);

/// <summary>Erases the documents of an agent with everything made from them.</summary>
internal delegate void EraseDocuments(DbSession session, TenantContext tenant, string agentId);

/// <summary>Erases a bounded part of an agent's conversations and of what its runs hold.</summary>
internal delegate ErasureStep EraseConversations(
    DbSession session, TenantContext tenant, string agentId, DateTimeOffset at);

/// <summary>How far an erasure came in one transaction.</summary>
internal enum ErasureStep
{
    /// <summary>There is more to erase.</summary>
    Unfinished,

    /// <summary>What is left belongs to runs that have not ended.</summary>
    Busy,

    Finished,
}
