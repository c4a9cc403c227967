using System.Text.RegularExpressions;
using Reeve.Server.Egress;
using Reeve.Server.Inference;

namespace Reeve.Server;

/// <summary>What the operator decides, from defaults, file, environment and flags (docs/configuration.md).</summary>
internal sealed record ReeveOptions
{
    internal string DataFolder { get; init; } = "./data";

    internal string Urls { get; init; } = "http://127.0.0.1:5080";

    internal InferenceOptions Inference { get; init; } = new();

    internal CreditOptions Credits { get; init; } = new();

    internal LimitOptions Limits { get; init; } = new();

    internal PrivacyOptions Privacy { get; init; } = new();

    internal RetrievalOptions Retrieval { get; init; } = new();

    internal EgressOptions Egress { get; init; } = new();

    internal WebhookOptions Webhooks { get; init; } = new();

    /// <summary>From then on <c>POST /v1/agents/{agentId}/chat</c> answers 410.</summary>
    internal DateTimeOffset LegacyChatSunset { get; init; } = new(2027, 6, 30, 0, 0, 0, TimeSpan.Zero);
}

internal sealed record CreditOptions
{
    /// <summary>Micro-USD of one credit; no prime factor but 2 and 5, so that credits are exact decimals.</summary>
    internal long MicroUsdPerCredit { get; init; } = 1_000;

    /// <summary>Share of the upstream cost that is added; 0.1 = 10 %.</summary>
    internal decimal MarginRate { get; init; }

    internal decimal StartingBalanceUsd { get; init; } = 10;

    /// <summary>A run's total is rounded up to a multiple of so many micro-USD.</summary>
    internal long RoundToMicroUsd { get; init; } = 1;

    /// <summary>An account whose available live balance falls below it is told by <c>balance.low</c>.</summary>
    internal decimal LowBalanceUsd { get; init; } = 1;
}

internal sealed record WebhookOptions
{
    /// <summary>Seconds from each failed attempt to the next; after the last of them a delivery is given up.</summary>
    internal IReadOnlyList<int> RetrySeconds { get; init; } =
        [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];

    /// <summary>Deliveries that may be on their way to one webhook; the oldest of more are given up.</summary>
    internal int PendingMax { get; init; } = 10_000;
}

internal sealed record PrivacyOptions
{
    /// <summary>What else is personal data here: a kind in capitals, and a pattern matched in linear time.</summary>
    internal IReadOnlyList<(string Kind, Regex Pattern)> Patterns { get; init; } = [];
}

internal sealed record RetrievalOptions
{
    /// <summary>
    /// What makes vectors of documents and questions: the id of a model for embeddings, or a folder with a local one;
    /// null: nothing does, and words alone are searched.
    /// </summary>
    internal string? Embeddings { get; init; }

    /// <summary>
    /// Bytes of vectors that are kept in memory, of all agents; those of one agent are, however many they are.
    /// </summary>
    internal long VectorBytesMax { get; init; } = 256L << 20;

    /// <summary>True for a path; ids of models begin otherwise.</summary>
    internal static bool IsFolder(string embeddings) => embeddings[0] == '.' || Path.IsPathRooted(embeddings);
}

internal sealed record LimitOptions
{
    internal long BodyBytesMax { get; init; } = 1L << 20;

    /// <summary>For chat completions, which may bring images, and embeddings.</summary>
    internal long ChatBytesMax { get; init; } = 20L << 20;

    /// <summary>
    /// Bytes of the bodies of all chats that are answered at once; one chat is taken however small this is.
    /// </summary>
    internal long ChatBytesOpenMax { get; init; } = 128L << 20;

    internal long UploadBytesMax { get; init; } = 32L << 20;

    /// <summary>Files of an account that wait to be read or are being read.</summary>
    internal int WaitingFilesMax { get; init; } = 500;

    /// <summary>Bytes of all files of an account that wait; one is taken however small this is.</summary>
    internal long WaitingBytesMax { get; init; } = 1L << 30;

    /// <summary>Runs open at once on this node, whoever's they are.</summary>
    internal int RunsMax { get; init; } = 10_000;

    /// <summary>Streams open at once on this node, whoever's they are.</summary>
    internal int StreamsMax { get; init; } = 20_000;

    /// <summary>
    /// Connections open at once, idle ones too; fewer where the process may not open so many files.
    /// </summary>
    internal int ConnectionsMax { get; init; } = 25_000;

    /// <summary>Days for which the records of requests are kept; 0: none are made.</summary>
    internal int RequestLogDays { get; init; } = 7;

    /// <summary>Days after which what a run outside of any conversation said is erased; 0: once it has ended.</summary>
    internal int ChatDays { get; init; } = 30;

    internal int FreeRequestsPerMinute { get; init; } = 10;

    internal int StarterRequestsPerMinute { get; init; } = 60;

    internal int ProRequestsPerMinute { get; init; } = 300;

    internal int EnterpriseRequestsPerMinute { get; init; } = 60_000;
}
