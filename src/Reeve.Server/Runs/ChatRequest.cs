using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;

namespace Reeve.Server.Runs;

/// <summary>
/// A run whose caller brings the conversation himself and takes the tool calls himself: it has no conversation, and an
/// agent only when its model names one.
/// </summary>
internal sealed record ChatRequest
{
    /// <summary>A router mode or a model of the catalogue; null where an agent decides.</summary>
    internal required string? Model { get; init; }

    /// <summary>Models to go on with when the one before fails, in this order.</summary>
    internal IReadOnlyList<string> Fallbacks { get; init; } = [];

    /// <summary>True: the cheapest of all these that fits, instead of their order.</summary>
    internal bool CheapestOfFallbacks { get; init; }

    internal required IReadOnlyList<ChatMessage> Messages { get; init; }

    /// <summary>Tokens of the messages, estimated for the hold.</summary>
    internal required int MessageTokens { get; init; }

    internal bool HasImages { get; init; }

    /// <summary>True when an image is an address, which whoever makes the model has to fetch.</summary>
    internal bool HasImageUrls { get; init; }

    /// <summary>The caller's functions, which the server never executes.</summary>
    internal IReadOnlyList<AIFunctionDeclaration> Functions { get; init; } = [];

    internal ChatToolMode? ToolMode { get; init; }

    internal bool? ParallelToolCalls { get; init; }

    internal ChatResponseFormat? Format { get; init; }

    /// <summary>Null: 4,096, or less where the model's or the agent's own limit is lower.</summary>
    internal int? OutputTokensMax { get; init; }

    internal decimal? Temperature { get; init; }

    internal decimal? TopP { get; init; }

    internal decimal? FrequencyPenalty { get; init; }

    internal decimal? PresencePenalty { get; init; }

    internal long? Seed { get; init; }

    internal IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>What the log keeps of the request.</summary>
    internal required ChatAdmitted Admitted { get; init; }

    /// <summary>What a model must be able to do for it, beside answering.</summary>
    internal IEnumerable<string> Needs
    {
        get
        {
            if (Functions.Count > 0)
            {
                yield return Capabilities.Tools;
            }

            if (Format is ChatResponseFormatJson)
            {
                yield return Capabilities.StructuredOutput;
            }

            if (HasImages)
            {
                yield return Capabilities.Vision;
            }
        }
    }

    /// <summary>The texts that the caller's side said, oldest first: what documents are searched by.</summary>
    internal IEnumerable<string> Questions => Messages.Where(static message => message.Role == ChatRole.User)
        .Select(static message => message.Text).Where(static text => text.Length > 0);
}

/// <summary>The part of a chat request that its log holds: what was said, and what its answer is written by.</summary>
internal sealed record ChatAdmitted
{
    /// <summary>As the caller sent them; a sealed prompt is in them as it was opened.</summary>
    public required JsonElement Messages { get; init; }

    /// <summary>The settings of the model call, as the caller sent them.</summary>
    public required JsonElement Settings { get; init; }

    /// <summary><c>fallback</c>, a router mode, <c>agent</c> or <c>direct</c>.</summary>
    public required string Routing { get; init; }

    /// <summary>The names that were asked for, in their order.</summary>
    public required IReadOnlyList<string> Chain { get; init; }

    /// <summary>True when the stream ends with the usage.</summary>
    public bool IncludeUsage { get; init; }

    /// <summary>The signed document that a stream begins with; null for none.</summary>
    public JsonElement? Attestation { get; init; }
}
