using System.Collections.Frozen;
using System.Globalization;
using System.Text.RegularExpressions;
using Reeve.Server.Http;

namespace Reeve.Server.Inference;

/// <summary>
/// Reads a model of a provider. What it leaves out is taken from the model of the same id that the catalogue knows of
/// this provider, so that the operator can change single values.
/// </summary>
internal sealed partial class ModelReader(
    string provider, string kind, IReadOnlyList<Model> known, bool allowUnpriced)
{
    private const int TokensMax = 100_000_000;
    private const int DimensionsMax = 65_536;
    private const decimal UsdPerMillionMax = 1_000_000;

    internal Model Read(RequestObject entry)
    {
        var id = entry.RequiredString("id", 1, 128);
        if (!IdPattern.IsMatch(id) || ModelCatalog.IsRouterMode(id)
            || id.StartsWith("reeve/", StringComparison.Ordinal) || id.StartsWith("agt_", StringComparison.Ordinal))
        {
            throw entry.Wrong(
                "id", "must be letters, digits and . _ : / -, and neither a router mode nor begin with reeve/ or agt_");
        }

        if (ModelTiers.Words.Contains(id, StringComparer.Ordinal))
        {
            throw entry.Wrong("id", $"{id} is a tier; inference.tiers maps it to a model");
        }

        var shipped = known.FirstOrDefault(model => model.Id == id);
        var capabilities = ReadCapabilities(entry, shipped);
        var makesEmbeddings = capabilities.Contains(Capabilities.Embeddings);
        var context = Tokens(entry, "context_tokens", TokensMax, shipped?.ContextTokens);
        var input = ReadPrice(entry, "input_usd_per_million", shipped?.InputUsdPerMillion);
        var output = makesEmbeddings ? 0 : ReadPrice(entry, "output_usd_per_million", shipped?.OutputUsdPerMillion);
        return new Model
        {
            Id = id,
            Provider = provider,
            Upstream = entry.String("upstream", 1, 256) ?? shipped?.Upstream
                ?? throw entry.Wrong("upstream", "is required"),
            ContextTokens = context,
            OutputTokensMax = makesEmbeddings
                ? 0
                : Tokens(entry, "max_output_tokens", context, Lower(shipped?.OutputTokensMax, context)),
            Quality = (int)(entry.Integer("quality", 0, 100) ?? shipped?.Quality ?? 50),
            InputUsdPerMillion = input ?? 0,
            OutputUsdPerMillion = output ?? 0,
            CachedInputUsdPerMillion =
                Price(entry, "cached_input_usd_per_million") ?? shipped?.CachedInputUsdPerMillion,
            CacheWriteUsdPerMillion = Price(entry, "cache_write_usd_per_million") ?? shipped?.CacheWriteUsdPerMillion,
            IsPriced = input is not null && output is not null,
            Capabilities = capabilities,
            Dimensions = makesEmbeddings
                ? (int?)entry.Integer("dimensions", 1, DimensionsMax) ?? shipped?.Dimensions
                : null,
            TakesImageUrls = kind != ProviderKinds.Ollama,
            CreatedAt = ReadDate(entry) ?? shipped?.CreatedAt ?? DateTimeOffset.UnixEpoch,
        };
    }

    private static int? Lower(int? tokens, int context) => tokens is { } known ? Math.Min(known, context) : null;

    private static int Tokens(RequestObject entry, string name, int max, int? otherwise) =>
        (int?)entry.Integer(name, 1, max) ?? otherwise
        ?? throw entry.Wrong(name, $"is required, an integer from 1 to {max}");

    private static decimal? Price(RequestObject entry, string name) => entry.Number(name, 0, UsdPerMillionMax, 6);

    /// <summary>Null where nobody knows it and the operator allows that.</summary>
    private decimal? ReadPrice(RequestObject entry, string name, decimal? otherwise) =>
        Price(entry, name) ?? otherwise
        ?? (allowUnpriced
            ? null
            : throw entry.Wrong(
                name, $"is required, a number from 0 to {UsdPerMillionMax}; 0 for a model that is free, or set "
                    + "inference.allow_unpriced"));

    private static IReadOnlySet<string> ReadCapabilities(RequestObject entry, Model? shipped)
    {
        if (entry.Strings("capabilities", Capabilities.Words.Length + Capabilities.EmbeddingWords.Length, 64)
            is not { } words)
        {
            return shipped?.Capabilities ?? FrozenSet.Create(
                StringComparer.Ordinal, Capabilities.Chat, Capabilities.Streaming);
        }

        var makesEmbeddings = words.Contains(Capabilities.Embeddings, StringComparer.Ordinal);
        var allowed = makesEmbeddings ? Capabilities.EmbeddingWords : Capabilities.Words;
        foreach (var word in words)
        {
            if (!allowed.Contains(word, StringComparer.Ordinal))
            {
                throw entry.Wrong("capabilities", $"must be of {string.Join(", ", allowed)}");
            }
        }

        return makesEmbeddings || words.Contains(Capabilities.Chat, StringComparer.Ordinal)
            ? words.ToFrozenSet(StringComparer.Ordinal)
            : throw entry.Wrong("capabilities", "must have chat or embeddings among them");
    }

    private static DateTimeOffset? ReadDate(RequestObject entry)
    {
        if (entry.String("published", 1, 64) is not { } text)
        {
            return null;
        }

        return DateOnly.TryParseExact(
            text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day)
            ? new DateTimeOffset(day, TimeOnly.MinValue, TimeSpan.Zero)
            : throw entry.Wrong("published", "must be a date such as 2025-09-29");
    }

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._:/-]*\z")]
    private static partial Regex IdPattern { get; }
}
