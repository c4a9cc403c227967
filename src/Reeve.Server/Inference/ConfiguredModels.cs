using Microsoft.Extensions.AI;
using Reeve.Server.Inference.Providers;
using Reeve.Server.Inference.Providers.Anthropic;
using Reeve.Server.Inference.Providers.OpenAI;

namespace Reeve.Server.Inference;

/// <summary>Makes the catalogue's entries from what the operator configured.</summary>
internal static class ConfiguredModels
{
    internal static IReadOnlyList<CatalogEntry> Create(
        InferenceOptions options, ProviderTools tools, ProviderHealth health)
    {
        foreach (var provider in options.Providers)
        {
            health.Of(provider.Name).Settings = new ProviderSettings
            {
                TimeoutMilliseconds = (int)provider.Timeout.TotalMilliseconds,
            };
        }

        return
        [
            .. from provider in options.Providers
               from model in provider.Models
               select new CatalogEntry(model, Client(provider, model, tools, health), provider.Marks),
        ];
    }

    private static IChatClient Client(
        ProviderOptions provider, Model model, ProviderTools tools, ProviderHealth health)
    {
        return provider.Kind switch
        {
            ProviderKinds.OpenAI => new OpenAIChatClient(tools, Endpoint(OpenAIPath(provider)), model),
            ProviderKinds.Anthropic => new AnthropicChatClient(tools, Endpoint(AnthropicPath(provider)), model),
            _ => throw new ArgumentException($"The provider {provider.Name} is of an unknown kind."),
        };

        ProviderEndpoint Endpoint(string address) => new()
        {
            Provider = provider.Name,
            Uri = new Uri(address),
            Headers = Headers(provider),
            SilenceMax = () => health.Of(provider.Name).Settings.Timeout,
        };
    }

    private static string OpenAIPath(ProviderOptions provider) => Base(provider) + "/chat/completions";

    /// <summary>The base address of this API is written with and without its version.</summary>
    private static string AnthropicPath(ProviderOptions provider)
    {
        var address = Base(provider);
        return address + (address.EndsWith("/v1", StringComparison.Ordinal) ? "/messages" : "/v1/messages");
    }

    private static string Base(ProviderOptions provider) => provider.BaseUrl.AbsoluteUri.TrimEnd('/');

    private static List<KeyValuePair<string, string>> Headers(ProviderOptions provider)
    {
        var headers = new List<KeyValuePair<string, string>> { new("User-Agent", "reeve") };
        if (provider.Kind == ProviderKinds.Anthropic)
        {
            headers.Add(new("anthropic-version", "2023-06-01"));
        }

        if (provider.ApiKey is { } key)
        {
            headers.Add(provider.Kind == ProviderKinds.Anthropic
                ? new("x-api-key", key.Reveal())
                : new("Authorization", "Bearer " + key.Reveal()));
        }

        return headers;
    }
}
