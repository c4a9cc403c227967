namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>The catalogue's entry of <c>reeve/quote</c>, the model that needs no key and no network.</summary>
internal static class QuoteModel
{
    internal const string Id = "reeve/quote";
    internal const string Provider = "builtin";
    internal const int OutputTokensMax = 4_096;

    internal static Model Create() => new()
    {
        Id = Id,
        Provider = Provider,
        Upstream = Id,
        ContextTokens = 1_000_000,
        OutputTokensMax = OutputTokensMax,
        Quality = 0,
        InputUsdPerMillion = 0,
        OutputUsdPerMillion = 0,
        Capabilities = new HashSet<string>(StringComparer.Ordinal) { "chat", "tools", "streaming" },
        IsBuiltIn = true,
        ReportsCitations = true,
    };
}
