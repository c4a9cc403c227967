using System.Collections.Frozen;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers.OpenAI;

/// <summary>One model of a server that speaks OpenAI's chat completions.</summary>
internal sealed class OpenAIChatClient(ProviderTools tools, ProviderEndpoint endpoint, Model model)
    : ProviderChatClient(tools, endpoint, model, Before(endpoint))
{
    private static readonly FrozenSet<string> MaxTokens = ["max_tokens"];

    // What a request can do without; the limit of the output has another name to go by.
    private static readonly FrozenSet<string> Optional =
    [
        "max_tokens", "temperature", "top_p", "seed", "frequency_penalty", "presence_penalty",
        "parallel_tool_calls", "stream_options",
    ];

    private protected override PooledBytes Write(
        IEnumerable<ChatMessage> messages, ChatOptions? options, bool streamed, IReadOnlySet<string> without) =>
        OpenAIRequestWriter.Write(Model, messages, options, streamed, without);

    private protected override ProviderAnswer NewAnswer(ChatOptions? options) => new OpenAIAnswer();

    private protected override bool IsOptional(string parameter) => Optional.Contains(parameter);

    // OpenAI deprecated max_tokens and its newer models refuse it; all of them know the other name.
    private static FrozenSet<string> Before(ProviderEndpoint endpoint) =>
        endpoint.Uri.Host == "api.openai.com" ? MaxTokens : FrozenSet<string>.Empty;
}
