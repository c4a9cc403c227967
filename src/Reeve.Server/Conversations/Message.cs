using System.Text.Json;
using Reeve.Server.Privacy;

namespace Reeve.Server.Conversations;

internal static class MessageRoles
{
    internal const string User = "user";
    internal const string Assistant = "assistant";
    internal const string Tool = "tool";
}

/// <summary>What was said, as it is read out of a run or out of what a fork brought along.</summary>
internal sealed record Message
{
    internal static readonly JsonElement Nothing = JsonElement.Parse("[]");

    internal required string Id { get; init; }

    internal required string Role { get; init; }

    internal required string Content { get; init; }

    /// <summary>False for the partial text of a run that failed or was cancelled.</summary>
    internal bool IsComplete { get; init; } = true;

    /// <summary>Null for a copied message.</summary>
    internal string? RunId { get; init; }

    /// <summary>Objects with <c>document_id</c>, <c>chunk_id</c>, <c>score</c> and where the chunk stands.</summary>
    internal JsonElement Sources { get; init; } = Nothing;

    /// <summary>As the run object shows them: those of the whole run, or the one of a tool message.</summary>
    internal JsonElement ToolCalls { get; init; } = Nothing;

    internal long ChargedMicroUsd { get; init; }

    internal required PrivacyClass PrivacyClass { get; init; }

    /// <summary>False when the model does not see the message again: its run failed or has not ended.</summary>
    internal bool InContext { get; init; } = true;

    internal required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>A place in a conversation; copied messages stand before those of runs.</summary>
internal readonly record struct MessagePosition(bool IsCopied, long Number, int Part)
{
    internal const int UserPart = 0;
    internal const int AssistantPart = int.MaxValue;
}

internal sealed record MessageQuery
{
    internal required int Limit { get; init; }

    /// <summary>Exclusive; null begins at the end that comes first.</summary>
    internal MessagePosition? From { get; init; }

    internal bool NewestFirst { get; init; }

    internal bool WithTools { get; init; }
}

/// <summary>One exchange as a model sees it again; no answer when there was none or it was empty.</summary>
internal sealed record HistoryTurn(string User, string? Assistant);

/// <summary>What a new run of a conversation builds on.</summary>
/// <param name="Turns">Oldest first; the oldest are left out when they do not fit what was asked for.</param>
/// <param name="IsWhole">False when turns were left out.</param>
/// <param name="Strictest">The strictest class of all earlier runs and copied messages.</param>
/// <param name="LastOrdinal">Of the newest run, whatever its status; 0 when there is none.</param>
internal sealed record ConversationHistory(
    IReadOnlyList<HistoryTurn> Turns, bool IsWhole, PrivacyClass Strictest, long LastOrdinal)
{
    /// <summary>Of a conversation that begins.</summary>
    internal static readonly ConversationHistory None = new([], true, PrivacyClass.Standard, 0);
}
