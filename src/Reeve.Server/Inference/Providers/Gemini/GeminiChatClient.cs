using System.Collections.Frozen;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers.Gemini;

/// <summary>One model behind Gemini's <c>generateContent</c>.</summary>
internal sealed class GeminiChatClient(ProviderTools tools, ProviderEndpoint endpoint, Model model)
    : ProviderChatClient(tools, endpoint, model, FrozenSet<string>.Empty)
{
    private protected override PooledBytes Write(
        IEnumerable<ChatMessage> messages, ChatOptions? options, bool streamed, IReadOnlySet<string> without) =>
        GeminiRequestWriter.Write(Model, messages, options);

    private protected override ProviderAnswer NewAnswer(ChatOptions? options) => new GeminiAnswer();
}
