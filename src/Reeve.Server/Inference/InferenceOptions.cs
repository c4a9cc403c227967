using System.Collections.Frozen;
using Reeve.Server.Privacy;

namespace Reeve.Server.Inference;

internal sealed record InferenceOptions
{
    /// <summary>From the configuration file, then from the environment.</summary>
    internal IReadOnlyList<ProviderOptions> Providers { get; init; } = [];

    /// <summary>The model behind each tier that the operator mapped, such as <c>mesh/swift</c>.</summary>
    internal IReadOnlyDictionary<string, string> Tiers { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>
    /// How long a model call may say nothing before the next route is asked as well; null: it never is.
    /// </summary>
    internal TimeSpan? HedgeAfter { get; init; }
}

/// <summary>Names that the operator maps to a model (wire-mesh 4.3).</summary>
internal static class ModelTiers
{
    internal const string Prefix = "mesh/";

    /// <summary>The tier of a request for embeddings that names no model.</summary>
    internal const string Embed = "mesh/embed";

    internal static readonly string[] Words = ["mesh/swift", "mesh/balanced", "mesh/pro", Embed];
}

/// <summary>A provider that the operator named.</summary>
internal sealed record ProviderOptions
{
    internal const int TimeoutMillisecondsMin = 1_000;
    internal const int TimeoutMillisecondsMax = 600_000;
    internal const int TimeoutMillisecondsDefault = 30_000;

    internal required string Name { get; init; }

    /// <summary>The protocol; one of <see cref="ProviderKinds"/>.</summary>
    internal required string Kind { get; init; }

    /// <summary>True for OpenAI's Responses in the place of its chat completions.</summary>
    internal bool UsesResponses { get; init; }

    internal required Uri BaseUrl { get; init; }

    /// <summary>Null for a server that asks for none.</summary>
    internal Secret? ApiKey { get; init; }

    internal bool ZeroRetention { get; init; }

    internal bool OperatorRun { get; init; }

    /// <summary>The longest silence, before the first byte and between two.</summary>
    internal TimeSpan Timeout { get; init; } = TimeSpan.FromMilliseconds(TimeoutMillisecondsDefault);

    internal required IReadOnlyList<Model> Models { get; init; }

    internal PrivacyMarks Marks => new(ZeroRetention || OperatorRun, OperatorRun, InProcess: false);
}

internal static class ProviderKinds
{
    /// <summary>Any server with OpenAI's chat completions, or its Responses.</summary>
    internal const string OpenAI = "openai";

    internal const string Anthropic = "anthropic";
    internal const string Gemini = "gemini";
    internal const string Ollama = "ollama";

    internal static readonly string[] Words = [OpenAI, Anthropic, Gemini, Ollama];
}
