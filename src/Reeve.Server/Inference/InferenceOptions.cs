using Reeve.Server.Privacy;

namespace Reeve.Server.Inference;

internal sealed record InferenceOptions
{
    /// <summary>From the configuration file, then from the environment.</summary>
    internal IReadOnlyList<ProviderOptions> Providers { get; init; } = [];
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
    /// <summary>Any server with OpenAI's chat completions.</summary>
    internal const string OpenAI = "openai";

    internal const string Anthropic = "anthropic";
}
