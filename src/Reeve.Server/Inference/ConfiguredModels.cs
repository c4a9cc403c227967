using Microsoft.Extensions.AI;
using Reeve.Server.Inference.Providers;
using Reeve.Server.Inference.Providers.Anthropic;
using Reeve.Server.Inference.Providers.Gemini;
using Reeve.Server.Inference.Providers.Ollama;
using Reeve.Server.Inference.Providers.OpenAI;

namespace Reeve.Server.Inference;

/// <summary>Makes the catalogue's entries from what the operator configured.</summary>
internal static class ConfiguredModels
{
    internal static IReadOnlyList<CatalogEntry> Create(InferenceOptions options, ProviderTools tools)
    {
        foreach (var provider in options.Providers)
        {
            tools.Health.Of(provider.Name).Settings = new ProviderSettings
            {
                TimeoutMilliseconds = (int)provider.Timeout.TotalMilliseconds,
            };
        }

        return
        [
            .. from provider in options.Providers
               from model in provider.Models
               where !model.MakesEmbeddings
               select new CatalogEntry(model, Client(provider, model, tools), provider.Marks),
        ];
    }

    internal static IReadOnlyList<EmbeddingEntry> CreateEmbeddings(InferenceOptions options, ProviderTools tools) =>
    [
        .. from provider in options.Providers
           from model in provider.Models
           where model.MakesEmbeddings
           select new EmbeddingEntry(model, Generator(provider, model, tools), provider.Marks),
    ];

    private static IChatClient Client(ProviderOptions provider, Model model, ProviderTools tools)
    {
        return provider.Kind switch
        {
            ProviderKinds.OpenAI when provider.UsesResponses =>
                new ResponsesChatClient(tools, Endpoint(provider, tools, "/responses"), model),
            ProviderKinds.OpenAI => new OpenAIChatClient(tools, Endpoint(provider, tools, "/chat/completions"), model),
            ProviderKinds.Anthropic => new AnthropicChatClient(tools, Endpoint(provider, tools, "/messages"), model),
            ProviderKinds.Gemini => new GeminiChatClient(
                tools,
                Endpoint(
                    provider, tools, GeminiMethod(model, "generateContent"),
                    GeminiMethod(model, "streamGenerateContent") + "?alt=sse"),
                model),
            ProviderKinds.Ollama => new OllamaChatClient(tools, Endpoint(provider, tools, "/chat"), model),
            _ => throw UnknownKind(provider),
        };
    }

    private static IEmbeddingGenerator<string, Embedding<float>> Generator(
        ProviderOptions provider, Model model, ProviderTools tools) => provider.Kind switch
        {
            ProviderKinds.OpenAI => new OpenAIEmbeddings(tools, Endpoint(provider, tools, "/embeddings"), model),
            ProviderKinds.Gemini => new GeminiEmbeddings(
                tools, Endpoint(provider, tools, GeminiMethod(model, "batchEmbedContents")), model),
            ProviderKinds.Ollama => new OllamaEmbeddings(tools, Endpoint(provider, tools, "/embed"), model),
            _ => throw UnknownKind(provider),
        };

    private static ProviderEndpoint Endpoint(
        ProviderOptions provider, ProviderTools tools, string path, string? streamPath = null)
    {
        var address = Base(provider);
        return new ProviderEndpoint
        {
            Provider = provider.Name,
            Uri = new Uri(address + path),
            StreamUri = streamPath is null ? null : new Uri(address + streamPath),
            Headers = Headers(provider),
            SilenceMax = () => tools.Health.Of(provider.Name).Settings.Timeout,
        };
    }

    private static string GeminiMethod(Model model, string method) =>
        $"/models/{Uri.EscapeDataString(model.Upstream)}:{method}";

    /// <summary>The base addresses of some protocols are written with and without what they all begin with.</summary>
    private static string Base(ProviderOptions provider)
    {
        var address = provider.BaseUrl.AbsoluteUri.TrimEnd('/');
        return provider.Kind switch
        {
            ProviderKinds.Anthropic => With("/v1"),
            ProviderKinds.Gemini => address.EndsWith("/v1", StringComparison.Ordinal) ? address : With("/v1beta"),
            ProviderKinds.Ollama => With("/api"),
            _ => address,
        };

        string With(string end) => address.EndsWith(end, StringComparison.Ordinal) ? address : address + end;
    }

    private static List<KeyValuePair<string, string>> Headers(ProviderOptions provider)
    {
        var headers = new List<KeyValuePair<string, string>> { new("User-Agent", "reeve") };
        if (provider.Kind == ProviderKinds.Anthropic)
        {
            headers.Add(new("anthropic-version", "2023-06-01"));
        }

        if (provider.ApiKey is { } key)
        {
            headers.Add(provider.Kind switch
            {
                ProviderKinds.Anthropic => new("x-api-key", key.Reveal()),
                ProviderKinds.Gemini => new("x-goog-api-key", key.Reveal()),
                _ => new("Authorization", "Bearer " + key.Reveal()),
            });
        }

        return headers;
    }

    private static ArgumentException UnknownKind(ProviderOptions provider) =>
        new($"The provider {provider.Name} is of a kind that cannot do this.");
}
