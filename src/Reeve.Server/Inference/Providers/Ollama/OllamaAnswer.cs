using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers.Ollama;

/// <summary>
/// Reads an answer of <c>/api/chat</c>: whole, or in lines of the same shape, the last of which is <c>done</c>.
/// </summary>
internal sealed class OllamaAnswer : ProviderAnswer
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

        if (JsonText.Member(root, "message") is { } message)
        {
            HasBegun = true;
            Think(JsonText.Text(message, "thinking"));
            Append(JsonText.Text(message, "content"));
            foreach (var call in JsonText.Items(message, "tool_calls"))
            {
                ReadCall(call);
            }
        }

        if (JsonText.Member(root, "done") is { ValueKind: JsonValueKind.True })
        {
            IsOver = true;
            Finish = JsonText.Text(root, "done_reason") == "length" ? ChatFinishReason.Length : ChatFinishReason.Stop;
            Usage.Input = Usage.Of(root, "prompt_eval_count");
            Usage.Output = Usage.Of(root, "eval_count");
        }
    }

    private void ReadCall(JsonElement call)
    {
        var function = JsonText.Member(call, "function") ?? default;
        Calls.Add(
            _calls++, JsonText.Text(call, "id"), JsonText.Text(function, "name"),
            JsonText.Member(function, "arguments") is { ValueKind: not JsonValueKind.String } arguments
                ? arguments.GetRawText()
                : JsonText.Text(function, "arguments"));
    }
}
