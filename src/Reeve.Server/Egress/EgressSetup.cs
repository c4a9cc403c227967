namespace Reeve.Server.Egress;

internal static class EgressSetup
{
    internal static void AddEgress(this IServiceCollection services)
    {
        services.AddSingleton(static provider => provider.GetRequiredService<ReeveOptions>().Egress);
        services.AddSingleton<ResolveName>(static _ => SafeHttp.SystemResolver);
        services.AddSingleton(static provider => new SafeHttp(
            provider.GetRequiredService<EgressOptions>(), provider.GetRequiredService<ResolveName>(),
            provider.GetRequiredService<TimeProvider>(), provider.GetService<DialAddress>()));
    }
}
