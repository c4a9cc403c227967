using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers.OpenAI;

/// <summary>
/// Reads an answer of Responses: one <c>response</c>, or the events that build it, of which the last has it whole.
/// </summary>
internal sealed class ResponsesAnswer : ProviderAnswer
{
    /// <summary>Calls whose arguments came in pieces; the whole that follows is not taken again.</summary>
    private readonly HashSet<long> _begunCalls = [];
    private bool _hasOutput;

    internal override UsageFigures Usage { get; } = new();

    private protected override void ReadJson(ReadOnlySpan<byte> json)
    {
        using var document = ReadDocument(json);
        var root = document.RootElement;
        if (JsonText.Text(root, "type") is { } type)
        {
            ReadEvent(type, root);
        }
        else if (JsonText.Text(root, "object") == "response")
        {
            ReadResponse(root);
        }
        else if (JsonText.Member(root, "error") is { } error)
        {
            throw ProviderRefusal.FromBody(error);
        }
    }

    private void ReadEvent(string type, JsonElement root)
    {
        switch (type)
        {
            case "response.output_text.delta" or "response.refusal.delta":
                _hasOutput = true;
                Append(JsonText.Text(root, "delta"));
                break;
            case "response.reasoning_text.delta" or "response.reasoning_summary_text.delta":
                Think(JsonText.Text(root, "delta"));
                break;
            case "response.output_item.added" or "response.output_item.done":
                ReadCall(Index(root), JsonText.Member(root, "item") ?? default);
                break;
            case "response.function_call_arguments.delta":
                _begunCalls.Add(Index(root));
                Calls.Add(Index(root), null, null, JsonText.Text(root, "delta"));
                break;
            case "response.completed" or "response.incomplete" or "response.failed":
                IsOver = true;
                ReadResponse(JsonText.Member(root, "response") ?? default);
                break;
            case "error":
                throw ProviderRefusal.FromBody(JsonText.Member(root, "error") ?? root);
            default:
                break;
        }

        HasBegun |= type.StartsWith("response.", StringComparison.Ordinal);
    }

    private void ReadCall(long index, JsonElement item)
    {
        if (JsonText.Text(item, "type") != "function_call")
        {
            return;
        }

        _hasOutput = true;
        var arguments = JsonText.Text(item, "arguments");
        var isTaken = !_begunCalls.Contains(index) && arguments is { Length: > 0 };
        if (isTaken)
        {
            _begunCalls.Add(index);
        }

        Calls.Add(index, JsonText.Text(item, "call_id"), JsonText.Text(item, "name"), isTaken ? arguments : null);
    }

    private void ReadResponse(JsonElement response)
    {
        HasBegun = true;
        if (JsonText.Member(response, "usage") is { } usage)
        {
            ReadUsage(usage);
        }

        var status = JsonText.Text(response, "status");
        if (status is "failed" or "cancelled" || JsonText.Member(response, "error") is not null)
        {
            throw ProviderRefusal.FromBody(JsonText.Member(response, "error") ?? default);
        }

        if (!_hasOutput)
        {
            ReadOutput(response);
        }

        var why = JsonText.Member(response, "incomplete_details") is { } details
            ? JsonText.Text(details, "reason")
            : null;
        Finish = status switch
        {
            "incomplete" => why == "content_filter" ? ChatFinishReason.ContentFilter : ChatFinishReason.Length,
            _ => ChatFinishReason.Stop,
        };
    }

    private void ReadOutput(JsonElement response)
    {
        var index = 0L;
        foreach (var item in JsonText.Items(response, "output"))
        {
            switch (JsonText.Text(item, "type"))
            {
                case "message":
                    foreach (var part in JsonText.Items(item, "content"))
                    {
                        Append(JsonText.Text(part, "text") ?? JsonText.Text(part, "refusal"));
                    }

                    break;
                case "reasoning":
                    foreach (var part in JsonText.Items(item, "summary").Concat(JsonText.Items(item, "content")))
                    {
                        Think(JsonText.Text(part, "text"));
                    }

                    break;
                default:
                    ReadCall(index, item);
                    break;
            }

            index++;
        }
    }

    private void ReadUsage(JsonElement usage)
    {
        Usage.Input = Usage.Of(usage, "input_tokens");
        Usage.Output = Usage.Of(usage, "output_tokens");
        if (JsonText.Member(usage, "input_tokens_details") is { } input)
        {
            Usage.CachedInput = Usage.Of(input, "cached_tokens");
        }

        if (JsonText.Member(usage, "output_tokens_details") is { } output)
        {
            Usage.Reasoning = Usage.Of(output, "reasoning_tokens");
        }
    }

    private static long Index(JsonElement root) => JsonText.Member(root, "output_index")?.GetInt64() ?? 0;
}
