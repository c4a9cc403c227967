using Reeve.Server.Egress;
using Reeve.Server.Inference.Providers;
using Reeve.Server.Inference.Providers.Builtin;

namespace Reeve.Server.Inference;

internal static class InferenceSetup
{
    internal static void AddInference(this IServiceCollection services)
    {
        services.AddSingleton(ProviderSchemas.All);
        services.AddSingleton<ProviderHealth>();
        services.AddSingleton<ProviderRegister>();
        services.AddHostedService(static provider => provider.GetRequiredService<ProviderRegister>());
        services.AddSingleton(static _ => new ProviderHttp());
        services.AddSingleton<ModelRouter>();
        services.AddSingleton(static provider => new ProviderTools(
            provider.GetRequiredService<ProviderHttp>(), provider.GetRequiredService<ProviderHealth>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<IdGenerator>(), provider.GetRequiredService<ILogger<ProviderTools>>()));
        services.AddSingleton(static provider => new ModelCatalog(
            [(QuoteModel.Create(), new QuoteChatClient())],
            [
                .. provider.GetServices<CatalogEntry>(),
                .. ConfiguredModels.Create(provider.GetRequiredService<ReeveOptions>().Inference,
                    provider.GetRequiredService<ProviderTools>()),
            ],
            [
                .. provider.GetServices<EmbeddingEntry>(),
                .. ConfiguredModels.CreateEmbeddings(provider.GetRequiredService<ReeveOptions>().Inference,
                    provider.GetRequiredService<ProviderTools>()),
            ],
            provider.GetRequiredService<ReeveOptions>().Inference.Tiers));
    }
}
