using System.Collections.Frozen;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers.OpenAI;

/// <summary>One model of a server that speaks OpenAI's Responses.</summary>
internal sealed class ResponsesChatClient(ProviderTools tools, ProviderEndpoint endpoint, Model model)
    : ProviderChatClient(tools, endpoint, model, FrozenSet<string>.Empty)
{
    private static readonly FrozenSet<string> Optional = ["temperature", "top_p", "parallel_tool_calls"];

    private protected override PooledBytes Write(
        IEnumerable<ChatMessage> messages, ChatOptions? options, bool streamed, IReadOnlySet<string> without) =>
        ResponsesRequestWriter.Write(Model, messages, options, streamed, without);

    private protected override ProviderAnswer NewAnswer(ChatOptions? options) => new ResponsesAnswer();

    private protected override bool IsOptional(string parameter) => Optional.Contains(parameter);
}
