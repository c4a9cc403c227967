using System.Globalization;
using System.Text.Json;
using Reeve.Server.Http;

namespace Reeve.Server.Inference;

/// <summary>A provider that the catalogue knows: the operator need not say what stands there.</summary>
internal sealed record WellKnownProvider
{
    internal required string Name { get; init; }

    internal required string Kind { get; init; }

    internal required Uri BaseUrl { get; init; }

    /// <summary>The variable with its key; null for a provider that asks for none.</summary>
    internal required string? KeyVariable { get; init; }

    internal required IReadOnlyList<Model> Models { get; init; }

    /// <summary>The variable that moves it elsewhere.</summary>
    internal string AddressVariable =>
        Name == ProviderKinds.Ollama ? "OLLAMA_HOST" : $"{Name.ToUpperInvariant()}_BASE_URL";
}

/// <summary>
/// The models of <c>catalog.json</c>, with prices as they were known on <see cref="PricedOn"/>, not checked against the
/// vendors' lists. What an operator writes in the configuration file wins.
/// </summary>
internal static class WellKnownModels
{
    private const int EntriesMax = 1_000;

    private static readonly RequestObject Catalog = Load();

    internal static readonly DateOnly PricedOn =
        DateOnly.ParseExact(Catalog.RequiredString("priced_on", 10, 10), "yyyy-MM-dd", CultureInfo.InvariantCulture);

    internal static readonly IReadOnlyList<WellKnownProvider> Providers =
        [.. Catalog.Objects("providers", EntriesMax)!.Select(Read)];

    /// <summary>Null for a provider of another name or protocol.</summary>
    internal static WellKnownProvider? Find(string name, string kind) =>
        Providers.FirstOrDefault(provider => provider.Name == name && provider.Kind == kind);

    internal static IReadOnlyList<Model> Of(string name) =>
        Providers.First(provider => provider.Name == name).Models;

    private static WellKnownProvider Read(RequestObject entry)
    {
        var name = entry.RequiredString("name", 1, 64);
        var kind = entry.RequiredString("kind", 1, 64);
        var reader = new ModelReader(name, kind, [], allowUnpriced: false);
        return new WellKnownProvider
        {
            Name = name,
            Kind = kind,
            BaseUrl = new Uri(entry.RequiredString("base_url", 1, 256)),
            KeyVariable = entry.String("api_key_env", 1, 64),
            Models = [.. entry.Objects("models", EntriesMax)!.Select(reader.Read)],
        };
    }

    private static RequestObject Load()
    {
        using var stream = typeof(WellKnownModels).Assembly.GetManifestResourceStream(
            "Reeve.Server.Inference.catalog.json")!;
        using var document = JsonDocument.Parse(stream);
        return new RequestObject(document.RootElement.Clone());
    }
}
