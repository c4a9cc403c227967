using System.Text.Json;
using Reeve.Server.Privacy;

namespace Reeve.Server.Conversations;

/// <summary>What messages need of a run, and the messages that it shows.</summary>
internal sealed record RunMessages
{
    internal required string RunId { get; init; }

    internal required long Ordinal { get; init; }

    internal required string Status { get; init; }

    internal required PrivacyClass PrivacyClass { get; init; }

    internal required long Charged { get; init; }

    internal required DateTimeOffset CreatedAt { get; init; }

    internal required DateTimeOffset? FinishedAt { get; init; }

    internal required string UserMessageId { get; init; }

    internal required string MessageId { get; init; }

    internal required string Input { get; init; }

    internal required string Output { get; init; }

    internal required JsonElement Sources { get; init; }

    internal required JsonElement ToolCalls { get; init; }

    private bool InContext => Status is "completed" or "cancelled";

    private bool HasAnswer => Status == "completed" || (Status is "failed" or "cancelled" && Output.Length > 0);

    internal IEnumerable<(int Part, Message Message)> Messages(bool withTools)
    {
        yield return (MessagePosition.UserPart, Show(UserMessageId, MessageRoles.User, Input, CreatedAt));
        for (var call = 1; withTools && call <= ToolCalls.GetArrayLength(); call++)
        {
            yield return (call, ToolMessage(call));
        }

        if (HasAnswer)
        {
            yield return (MessagePosition.AssistantPart,
                Show(MessageId, MessageRoles.Assistant, Output, FinishedAt ?? CreatedAt) with
                {
                    IsComplete = Status == "completed",
                    Sources = Sources,
                    ToolCalls = ToolCalls,
                    ChargedMicroUsd = Charged,
                });
        }
    }

    private Message ToolMessage(int call)
    {
        var shown = ToolCalls[call - 1];
        var summary = shown.TryGetProperty("result_summary", out var text) && text.ValueKind == JsonValueKind.String
            ? text.GetString()! : "";
        return Show(ToolMessageId.Of(UserMessageId, call), MessageRoles.Tool, summary, FinishedAt ?? CreatedAt) with
        {
            ToolCalls = JsonElement.Parse($"[{shown.GetRawText()}]"),
        };
    }

    private Message Show(string id, string role, string content, DateTimeOffset at) => new()
    {
        Id = id,
        Role = role,
        Content = content,
        RunId = RunId,
        PrivacyClass = PrivacyClass,
        InContext = InContext,
        CreatedAt = at,
    };
}
