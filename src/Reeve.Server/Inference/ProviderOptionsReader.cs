using System.Text.RegularExpressions;
using Reeve.Server.Http;
using Reeve.Server.Inference.Providers.Builtin;

namespace Reeve.Server.Inference;

/// <summary>
/// Reads <c>inference</c> and adds the providers whose keys or addresses stand in the environment. The file wins: a
/// provider of the same name replaces the one of the environment, and a model of the same id its shipped model.
/// </summary>
internal sealed partial class ProviderOptionsReader(Func<string, string?> environment)
{
    private const string AddressRule = "must be an http or https address without user, query or fragment";
    private const int OllamaPort = 11434;
    private const int ProvidersMax = 100;
    private const int ModelsMax = 1_000;

    /// <summary>What a variable alone enables; other known providers are named in the file.</summary>
    private static readonly string[] OfEnvironment =
        [ProviderKinds.OpenAI, ProviderKinds.Anthropic, ProviderKinds.Gemini, ProviderKinds.Ollama];

    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Model> _models = new(StringComparer.Ordinal);
    private readonly HashSet<RouteKey> _routes = [];

    internal InferenceOptions Read(RequestObject? section)
    {
        var providers = new List<ProviderOptions>();
        var later = new List<int>();
        var allowUnpriced = section?.Boolean("allow_unpriced") ?? false;
        foreach (var entry in section?.Objects("providers", ProvidersMax) ?? [])
        {
            var provider = ReadProvider(entry, allowUnpriced);
            if (provider.Models.Count == 0)
            {
                later.Add(providers.Count);
            }

            providers.Add(provider);
        }

        // The shipped models come last, for what the file names by the same id takes their place.
        foreach (var at in later)
        {
            providers[at] = providers[at] with { Models = Shipped(providers[at].Name) };
        }

        foreach (var name in OfEnvironment)
        {
            if (!_names.Contains(name) && FromEnvironment(WellKnownModels.Find(name, name)!) is { } provider)
            {
                providers.Add(provider);
            }
        }

        return new InferenceOptions
        {
            Providers = providers,
            Tiers = ReadTiers(section?.Object("tiers"), providers),
            HedgeAfter = section?.Integer("hedge_after_ms", 1, ProviderOptions.TimeoutMillisecondsMax) is { } silence
                ? TimeSpan.FromMilliseconds(silence)
                : null,
        };
    }

    private ProviderOptions? FromEnvironment(WellKnownProvider known)
    {
        if (environment(known.AddressVariable) is null
            && (known.KeyVariable is null || environment(known.KeyVariable) is null))
        {
            return null;
        }

        return new ProviderOptions
        {
            Name = known.Name,
            Kind = known.Kind,
            BaseUrl = EnvironmentAddress(known),
            ApiKey = Credential(known.KeyVariable),
            Models = Shipped(known.Name),
        };
    }

    private ProviderOptions ReadProvider(RequestObject entry, bool allowUnpriced)
    {
        var name = entry.RequiredString("name", 1, 64);
        if (!NamePattern.IsMatch(name))
        {
            throw entry.Wrong("name", "must be lower-case letters, digits, - and _");
        }

        if (!_names.Add(name))
        {
            throw entry.Wrong("name", $"{name} is there twice");
        }

        var kind = entry.Word("kind", ProviderKinds.Words) ?? throw entry.Wrong("kind", "is required");
        var known = WellKnownModels.Find(name, kind);
        var models = entry.Objects("models", ModelsMax);
        if (models is not { Count: > 0 } && known is null)
        {
            throw entry.Wrong("models", "must name at least one model");
        }

        var reader = new ModelReader(name, kind, known?.Models ?? [], allowUnpriced);
        return new ProviderOptions
        {
            Name = name,
            Kind = kind,
            UsesResponses = ReadApi(entry, kind),
            BaseUrl = ReadAddress(entry, known),
            ApiKey = ReadCredential(entry, known),
            ZeroRetention = entry.Boolean("zero_retention") ?? false,
            OperatorRun = entry.Boolean("operator_run") ?? false,
            Timeout = TimeSpan.FromMilliseconds(
                entry.Integer(
                    "timeout_ms", ProviderOptions.TimeoutMillisecondsMin, ProviderOptions.TimeoutMillisecondsMax)
                ?? ProviderOptions.TimeoutMillisecondsDefault),
            Models = [.. (models ?? []).Select(model => ReadModel(reader, model))],
        };
    }

    private static bool ReadApi(RequestObject entry, string kind)
    {
        var api = entry.Word("api", "chat_completions", "responses");
        return api is null || kind == ProviderKinds.OpenAI
            ? api == "responses"
            : throw entry.Wrong("api", "is for providers of kind openai alone");
    }

    private Uri ReadAddress(RequestObject entry, WellKnownProvider? known)
    {
        if (entry.String("base_url", 1, 2048) is not { } text)
        {
            return known is null ? throw entry.Wrong("base_url", "is required") : EnvironmentAddress(known);
        }

        return ParseAddress(text) ?? throw entry.Wrong("base_url", AddressRule);
    }

    private Secret? ReadCredential(RequestObject entry, WellKnownProvider? known)
    {
        if (entry.String("api_key_env", 1, 128) is not { } variable)
        {
            return Credential(known?.KeyVariable);
        }

        return environment(variable) is null
            ? throw entry.Wrong("api_key_env", $"names {variable}, which is not set in the environment")
            : Credential(variable);
    }

    private Model ReadModel(ModelReader reader, RequestObject entry)
    {
        var model = reader.Read(entry);
        if (!_routes.Add(new RouteKey(model.Id, model.Provider)))
        {
            throw entry.Wrong("id", $"{model.Id} is there twice");
        }

        // Several providers may have a model. Whoever asks for it must get the same from each of them.
        if (!_models.TryAdd(model.Id, model))
        {
            var other = _models[model.Id];
            if (other.MakesEmbeddings != model.MakesEmbeddings)
            {
                throw entry.Wrong("id", $"{model.Id} makes embeddings of one provider and answers of another");
            }

            if (other.Dimensions is { } length && model.Dimensions is { } own && length != own)
            {
                throw entry.Wrong("dimensions", $"is {own}, and {length} for {model.Id} of another provider");
            }
        }

        return model;
    }

    private static Dictionary<string, string> ReadTiers(RequestObject? section, List<ProviderOptions> providers)
    {
        var tiers = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var tier in section is null ? [] : ModelTiers.Words)
        {
            if (section!.String(tier, 1, 128) is not { } id)
            {
                continue;
            }

            var model = providers.SelectMany(static provider => provider.Models).FirstOrDefault(one => one.Id == id);
            if (model is null && (id != QuoteModel.Id || tier == ModelTiers.Embed))
            {
                throw section.Wrong(tier, $"names {id}, which no provider has");
            }

            if (model is not null && model.MakesEmbeddings != (tier == ModelTiers.Embed))
            {
                throw section.Wrong(
                    tier, $"names {id}, which is {(model.MakesEmbeddings ? "" : "not ")}a model for embeddings");
            }

            tiers.Add(tier, id);
        }

        return tiers;
    }

    private IReadOnlyList<Model> Shipped(string name) =>
        [.. WellKnownModels.Of(name).Where(model => _models.TryAdd(model.Id, model))];

    private Uri EnvironmentAddress(WellKnownProvider known)
    {
        if (environment(known.AddressVariable) is not { } text)
        {
            return known.BaseUrl;
        }

        var address = known.Name == ProviderKinds.Ollama ? ParseHost(text) : ParseAddress(text);
        return address ?? throw new ReeveOptionsException($"{known.AddressVariable} {AddressRule}.");
    }

    private Secret? Credential(string? variable)
    {
        if (variable is null || environment(variable) is not { } value)
        {
            return null;
        }

        foreach (var character in value)
        {
            if (character is <= ' ' or > '~')
            {
                throw new ReeveOptionsException($"{variable} must be printable ASCII characters without spaces.");
            }
        }

        return new Secret(value);
    }

    private static Uri? ParseAddress(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
        && uri.UserInfo.Length == 0 && uri.Query.Length == 0 && uri.Fragment.Length == 0
            ? uri
            : null;

    /// <summary>As Ollama's own programs read it: the scheme may be left out, and with it the port.</summary>
    private static Uri? ParseHost(string text)
    {
        if (text.Contains("://", StringComparison.Ordinal))
        {
            return ParseAddress(text);
        }

        return ParseAddress("http://" + text) is { } uri
            ? uri.IsDefaultPort && !text.EndsWith(":80", StringComparison.Ordinal)
                ? new UriBuilder(uri) { Port = OllamaPort }.Uri
                : uri
            : null;
    }

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9_-]*\z")]
    private static partial Regex NamePattern { get; }
}
