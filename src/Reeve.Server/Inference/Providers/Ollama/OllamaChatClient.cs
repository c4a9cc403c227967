using System.Collections.Frozen;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers.Ollama;

/// <summary>One model of an Ollama server, whose streams are one JSON object a line.</summary>
internal sealed class OllamaChatClient(ProviderTools tools, ProviderEndpoint endpoint, Model model)
    : ProviderChatClient(tools, endpoint, model, FrozenSet<string>.Empty)
{
    private readonly string _provider = endpoint.Provider;

    private protected override PooledBytes Write(
        IEnumerable<ChatMessage> messages, ChatOptions? options, bool streamed, IReadOnlySet<string> without) =>
        OllamaRequestWriter.Write(Model, _provider, messages, options, streamed);

    private protected override ProviderAnswer NewAnswer(ChatOptions? options) => new OllamaAnswer();

    private protected override IEventReader NewReader(ReadBytes read) => new NdjsonReader(read);
}
