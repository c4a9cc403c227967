using System.Collections.Frozen;
using System.Text.RegularExpressions;
using Reeve.Server.Http;

namespace Reeve.Server.Inference;

/// <summary>
/// Reads <c>inference.providers</c> and adds the providers whose keys or addresses stand in the environment. The file
/// wins: a provider of the same name replaces the one of the environment, and a model of the same id its shipped model.
/// </summary>
internal sealed partial class ProviderOptionsReader(Func<string, string?> environment)
{
    private const string AddressRule = "must be an http or https address without user, query or fragment";
    private const int ProvidersMax = 100;
    private const int ModelsMax = 1_000;
    private const int TokensMax = 100_000_000;
    private const decimal UsdPerMillionMax = 1_000_000;

    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly HashSet<string> _models = new(StringComparer.Ordinal);

    internal InferenceOptions Read(RequestObject? section)
    {
        var providers = new List<ProviderOptions>();
        var later = new List<int>();
        foreach (var entry in section?.Objects("providers", ProvidersMax) ?? [])
        {
            var provider = ReadProvider(entry);
            if (provider.Models.Count == 0)
            {
                later.Add(providers.Count);
            }

            providers.Add(provider);
        }

        // The shipped models come last, for what the file names by the same id takes their place.
        foreach (var at in later)
        {
            providers[at] = providers[at] with { Models = Shipped(providers[at].Kind) };
        }

        foreach (var kind in (ReadOnlySpan<string>)[ProviderKinds.OpenAI, ProviderKinds.Anthropic])
        {
            if (!_names.Contains(kind) && FromEnvironment(kind) is { } provider)
            {
                providers.Add(provider);
            }
        }

        return new InferenceOptions { Providers = providers };
    }

    private ProviderOptions? FromEnvironment(string kind)
    {
        var (key, address) = (KeyVariable(kind), AddressVariable(kind));
        if (environment(key) is null && environment(address) is null)
        {
            return null;
        }

        return new ProviderOptions
        {
            Name = kind,
            Kind = kind,
            BaseUrl = EnvironmentAddress(kind),
            ApiKey = Credential(key),
            Models = Shipped(kind),
        };
    }

    private ProviderOptions ReadProvider(RequestObject entry)
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

        var kind = ReadKind(entry);
        var isShipped = name == kind;
        var models = entry.Objects("models", ModelsMax);
        if (models is not { Count: > 0 } && !isShipped)
        {
            throw entry.Wrong("models", "must name at least one model");
        }

        return new ProviderOptions
        {
            Name = name,
            Kind = kind,
            BaseUrl = ReadAddress(entry, kind, isShipped),
            ApiKey = ReadCredential(entry, kind, isShipped),
            ZeroRetention = entry.Boolean("zero_retention") ?? false,
            OperatorRun = entry.Boolean("operator_run") ?? false,
            Timeout = TimeSpan.FromMilliseconds(
                entry.Integer(
                    "timeout_ms", ProviderOptions.TimeoutMillisecondsMin, ProviderOptions.TimeoutMillisecondsMax)
                ?? ProviderOptions.TimeoutMillisecondsDefault),
            Models = [.. (models ?? []).Select(model => ReadModel(model, name))],
        };
    }

    private static string ReadKind(RequestObject entry) => entry.RequiredString("kind", 1, 64) switch
    {
        var kind and (ProviderKinds.OpenAI or ProviderKinds.Anthropic) => kind,
        var kind and ("gemini" or "ollama") => throw entry.Wrong(
            "kind", $"{kind} is not supported by this version yet; use openai or anthropic"),
        _ => throw entry.Wrong("kind", "must be one of openai, anthropic"),
    };

    private Uri ReadAddress(RequestObject entry, string kind, bool isShipped)
    {
        if (entry.String("base_url", 1, 2048) is not { } text)
        {
            return isShipped ? EnvironmentAddress(kind) : throw entry.Wrong("base_url", "is required");
        }

        return ParseAddress(text) ?? throw entry.Wrong("base_url", AddressRule);
    }

    private Secret? ReadCredential(RequestObject entry, string kind, bool isShipped)
    {
        if (entry.String("api_key_env", 1, 128) is not { } variable)
        {
            return isShipped ? Credential(KeyVariable(kind)) : null;
        }

        return environment(variable) is null
            ? throw entry.Wrong("api_key_env", $"names {variable}, which is not set in the environment")
            : Credential(variable);
    }

    private Model ReadModel(RequestObject entry, string provider)
    {
        var id = entry.RequiredString("id", 1, 128);
        if (!ModelPattern.IsMatch(id) || ModelCatalog.IsRouterMode(id)
            || id.StartsWith("reeve/", StringComparison.Ordinal) || id.StartsWith("agt_", StringComparison.Ordinal))
        {
            throw entry.Wrong(
                "id", "must be letters, digits and . _ : / -, and neither a router mode nor begin with reeve/ or agt_");
        }

        if (!_models.Add(id))
        {
            throw entry.Wrong("id", $"{id} is there twice");
        }

        var context = Tokens(entry, "context_tokens", TokensMax);
        return new Model
        {
            Id = id,
            Provider = provider,
            Upstream = entry.RequiredString("upstream", 1, 256),
            ContextTokens = context,
            OutputTokensMax = Tokens(entry, "max_output_tokens", context),
            Quality = (int)(entry.Integer("quality", 0, 100) ?? 50),
            InputUsdPerMillion = ReadPrice(entry, "input_usd_per_million"),
            OutputUsdPerMillion = ReadPrice(entry, "output_usd_per_million"),
            Capabilities = ReadCapabilities(entry),
        };
    }

    private static int Tokens(RequestObject entry, string name, int max) =>
        (int)(entry.Integer(name, 1, max) ?? throw entry.Wrong(name, $"is required, an integer from 1 to {max}"));

    private static decimal ReadPrice(RequestObject entry, string name) =>
        entry.Number(name, 0, UsdPerMillionMax, 6)
        ?? throw entry.Wrong(name, $"is required, a number from 0 to {UsdPerMillionMax}; 0 for a model that is free");

    private static FrozenSet<string> ReadCapabilities(RequestObject entry)
    {
        var words = entry.Strings("capabilities", Capabilities.Words.Length, 64)
            ?? [Capabilities.Chat, Capabilities.Streaming];
        foreach (var word in words)
        {
            if (!Capabilities.Words.Contains(word, StringComparer.Ordinal))
            {
                throw entry.Wrong("capabilities", $"must be of {string.Join(", ", Capabilities.Words)}");
            }
        }

        return words.Contains(Capabilities.Chat, StringComparer.Ordinal)
            ? words.ToFrozenSet(StringComparer.Ordinal)
            : throw entry.Wrong("capabilities", "must have chat among them");
    }

    private IReadOnlyList<Model> Shipped(string kind) =>
        [.. WellKnownModels.Of(kind).Where(model => _models.Add(model.Id))];

    private Uri EnvironmentAddress(string kind)
    {
        var variable = AddressVariable(kind);
        if (environment(variable) is not { } text)
        {
            return new Uri(kind == ProviderKinds.OpenAI ? "https://api.openai.com/v1" : "https://api.anthropic.com");
        }

        return ParseAddress(text) ?? throw new ReeveOptionsException($"{variable} {AddressRule}.");
    }

    private Secret? Credential(string variable)
    {
        if (environment(variable) is not { } value)
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

    private static string KeyVariable(string kind) =>
        kind == ProviderKinds.OpenAI ? "OPENAI_API_KEY" : "ANTHROPIC_API_KEY";

    private static string AddressVariable(string kind) =>
        kind == ProviderKinds.OpenAI ? "OPENAI_BASE_URL" : "ANTHROPIC_BASE_URL";

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9_-]*\z")]
    private static partial Regex NamePattern { get; }

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._:/-]*\z")]
    private static partial Regex ModelPattern { get; }
}
