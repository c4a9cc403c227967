using System.Collections.Frozen;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers.Anthropic;

/// <summary>One model behind Anthropic's Messages API.</summary>
internal sealed class AnthropicChatClient(ProviderTools tools, ProviderEndpoint endpoint, Model model)
    : ProviderChatClient(tools, endpoint, model, FrozenSet<string>.Empty)
{
    private protected override PooledBytes Write(
        IEnumerable<ChatMessage> messages, ChatOptions? options, bool streamed, IReadOnlySet<string> without) =>
        AnthropicRequestWriter.Write(Model, messages, options, streamed);

    private protected override ProviderAnswer NewAnswer(ChatOptions? options) =>
        new AnthropicAnswer(StructuredOutputs.For(options) == StructuredOutput.Tool);
}
