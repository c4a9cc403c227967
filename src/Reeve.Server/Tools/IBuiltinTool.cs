using System.Text.Json;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Tools;

/// <summary>One action of a tool as a model sees it; <c>Parameters</c> is a JSON Schema object.</summary>
internal sealed record ToolAction(string Name, string Description, JsonElement Parameters)
{
    /// <summary>
    /// True: a call that a crash interrupted is made again. False: nobody knows what became of it, and it is not.
    /// </summary>
    internal bool IsIdempotent { get; init; } = true;
}

/// <summary>What a tool may know of the run that calls it.</summary>
internal sealed record ToolCallContext(
    TenantContext Tenant, string AgentId, string RunId, string CallId, PrivacyClass PrivacyClass)
{
    /// <summary>True for test keys, which reach no provider.</summary>
    internal bool BuiltInOnly { get; init; }
}

/// <summary>What a tool gave back: any JSON. An error is a result too and goes to the model.</summary>
internal sealed record ToolResult(JsonElement Result, bool IsError)
{
    /// <summary>Chunks that the call put before the model; they join the run's sources.</summary>
    internal IReadOnlyList<SourceRef> Sources { get; init; } = [];

    /// <summary>The strictest class of what was read; the run's class rises to it.</summary>
    internal PrivacyClass PrivacyClass { get; init; } = PrivacyClass.Standard;
}

/// <summary>A chunk that a run used: what <c>sources</c> and <c>citations</c> of the wire show of it.</summary>
internal sealed record SourceRef(
    string DocumentId, string ChunkId, double Score, string Name, int? Page, int Start, int End);

/// <summary>A tool that is part of the server.</summary>
internal interface IBuiltinTool
{
    string Name { get; }

    IReadOnlyList<ToolAction> Actions { get; }

    /// <summary>Runs an action; wrong arguments give an error result, never an exception.</summary>
    Task<ToolResult> InvokeAsync(
        string action, JsonElement arguments, ToolCallContext context, CancellationToken cancellationToken);
}
