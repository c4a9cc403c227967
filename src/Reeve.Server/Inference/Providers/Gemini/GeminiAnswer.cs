using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers.Gemini;

/// <summary>
/// Reads an answer of <c>generateContent</c>: whole, or in pieces of the same shape. Calls come whole. The figures of
/// the usage are totals so far, so the last ones hold.
/// </summary>
internal sealed class GeminiAnswer : ProviderAnswer
{
    private int _calls;

    internal override UsageFigures Usage { get; } = new();

    private protected override void ReadJson(ReadOnlySpan<byte> json)
    {
        using var document = ReadDocument(json);
        var root = document.RootElement;
        if (JsonText.Member(root, "error") is { } error)
        {
            throw ProviderRefusal.FromBody(error);
        }

        if (JsonText.Member(root, "usageMetadata") is { } usage)
        {
            ReadUsage(usage);
        }

        if (JsonText.Member(root, "promptFeedback") is { } feedback
            && JsonText.Text(feedback, "blockReason") is not null)
        {
            (HasBegun, Finish) = (true, ChatFinishReason.ContentFilter);
        }

        foreach (var candidate in JsonText.Items(root, "candidates"))
        {
            HasBegun = true;
            ReadCandidate(candidate);
            break; // One was asked for.
        }
    }

    private void ReadCandidate(JsonElement candidate)
    {
        if (JsonText.Member(candidate, "content") is { } content)
        {
            foreach (var part in JsonText.Items(content, "parts"))
            {
                ReadPart(part);
            }
        }

        if (JsonText.Text(candidate, "finishReason") is { Length: > 0 } reason)
        {
            Finish = reason switch
            {
                "MAX_TOKENS" => ChatFinishReason.Length,
                "SAFETY" or "RECITATION" or "LANGUAGE" or "BLOCKLIST" or "PROHIBITED_CONTENT" or "SPII"
                    or "IMAGE_SAFETY" => ChatFinishReason.ContentFilter,

                // The model wrote what is no call, or failed otherwise: there is no answer.
                "MALFORMED_FUNCTION_CALL" or "UNEXPECTED_TOOL_CALL" or "TOO_MANY_TOOL_CALLS"
                    or "MISSING_THOUGHT_SIGNATURE" or "MALFORMED_RESPONSE" or "OTHER" => throw new ProviderException(
                        ProviderFault.Malformed, "The provider ended an answer because its model failed."),
                _ => ChatFinishReason.Stop,
            };
        }
    }

    private void ReadPart(JsonElement part)
    {
        if (JsonText.Member(part, "functionCall") is { } call)
        {
            Calls.Add(
                _calls++, JsonText.Text(call, "id"), JsonText.Text(call, "name"),
                JsonText.Member(call, "args")?.GetRawText());
        }
        else if (JsonText.Member(part, "thought") is { ValueKind: JsonValueKind.True })
        {
            Think(JsonText.Text(part, "text"));
        }
        else
        {
            Append(JsonText.Text(part, "text"));
        }
    }

    private void ReadUsage(JsonElement usage)
    {
        Usage.Input = Usage.Of(usage, "promptTokenCount") + (Usage.Of(usage, "toolUsePromptTokenCount") ?? 0);
        Usage.CachedInput = Usage.Of(usage, "cachedContentTokenCount");
        Usage.Reasoning = Usage.Of(usage, "thoughtsTokenCount");

        // Thoughts are paid for as output and are not in its figure here.
        var said = Usage.Of(usage, "candidatesTokenCount");
        Usage.Output = said is null && Usage.Reasoning is null ? null : (said ?? 0) + (Usage.Reasoning ?? 0);
    }
}
