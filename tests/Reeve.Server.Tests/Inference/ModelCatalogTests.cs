using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Tests.Inference;

public sealed class ModelCatalogTests
{
    [Fact]
    public void Find_SonnetWithoutMinorVersion_IsTheConfiguredSonnet()
    {
        var catalog = Catalog("mesh/claude-haiku-4.5", "mesh/claude-sonnet-4.5");
        Assert.Equal("mesh/claude-sonnet-4.5", catalog.Find("mesh/claude-sonnet-4")!.Model.Id);
        Assert.Equal(2, catalog.Entries.Count);
        Assert.Null(Catalog("mesh/claude-haiku-4.5").Find("mesh/claude-sonnet-4"));
    }

    [Fact]
    public void Find_OperatorNamedTheAliasItself_IsThatModel() =>
        Assert.Equal(
            "mesh/claude-sonnet-4",
            Catalog("mesh/claude-sonnet-4", "mesh/claude-sonnet-4.5").Find("mesh/claude-sonnet-4")!.Model.Id);

    [Fact]
    public void Constructor_IdTwiceOrNegativePrice_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => Catalog("mesh/a", "mesh/a"));
        Assert.Throws<ArgumentException>(() => new ModelCatalog(
            [], [new(Sample.Model with { InputUsdPerMillion = -1 }, new NoClient(), PrivacyMarks.Nothing)]));
    }

    [Fact]
    public void Constructor_BuiltIns_ComeLastAndStayInTheProcess()
    {
        var quote = Sample.Model with { Id = "reeve/quote", IsBuiltIn = true };
        var catalog = new ModelCatalog(
            [(quote, new NoClient())], [new(Sample.Model, new NoClient(), PrivacyMarks.Nothing)]);
        Assert.Equal(["mesh/sample", "reeve/quote"], catalog.Entries.Select(entry => entry.Model.Id));
        Assert.Equal(PrivacyMarks.Process, catalog.Find("reeve/quote")!.Privacy);
    }

    [Theory]
    [InlineData("auto", true)]
    [InlineData("best", true)]
    [InlineData("Auto", false)]
    [InlineData("", false)]
    [InlineData("mesh/a", false)]
    public void IsRouterMode_Names_AreTheFour(string name, bool expected) =>
        Assert.Equal(expected, ModelCatalog.IsRouterMode(name));

    [Fact]
    public void WellKnownModels_All_AreConsistent()
    {
        foreach (var provider in WellKnownModels.Providers)
        {
            Assert.Equal(provider.Models.Count, provider.Models.Select(model => model.Id).Distinct().Count());
            foreach (var model in provider.Models)
            {
                var isFree = provider.Kind == ProviderKinds.Ollama;
                Assert.StartsWith(isFree ? "ollama/" : "mesh/", model.Id, StringComparison.Ordinal);
                Assert.Equal(provider.Name, model.Provider);
                Assert.True(model.IsPriced);
                Assert.True(model.MakesEmbeddings ? model.Dimensions > 0 : model.OutputTokensMax > 0);
                Assert.Equal(isFree, model.InputUsdPerMillion == 0);
                Assert.True(isFree || model.MakesEmbeddings || model.OutputUsdPerMillion >= model.InputUsdPerMillion);
                Assert.True((model.CachedInputUsdPerMillion ?? 0) <= model.InputUsdPerMillion);
                Assert.True(
                    (model.CacheWriteUsdPerMillion ?? model.InputUsdPerMillion) >= model.InputUsdPerMillion);
                Assert.True(model.OutputTokensMax <= model.ContextTokens);
                Assert.True(DateOnly.FromDateTime(model.CreatedAt.UtcDateTime) <= WellKnownModels.PricedOn);
            }
        }
    }

    [Theory]
    [InlineData("mesh/claude-haiku-4.5", "anthropic")]
    [InlineData("mesh/claude-sonnet-4.5", "anthropic")]
    [InlineData("mesh/claude-opus-4.5", "anthropic")]
    [InlineData("mesh/llama-3.3-70b", "groq")]
    [InlineData("mesh/llama-4-maverick", "groq")]
    [InlineData("mesh/mistral-large-3", "mistral")]
    [InlineData("mesh/deepseek-r1", "together")]
    public void WellKnownModels_DocumentedIds_AreKnown(string id, string provider) => Assert.Equal(
        provider,
        WellKnownModels.Providers.First(known => known.Models.Any(model => model.Id == id)).Name);

    [Fact]
    public void Find_Tier_IsTheModelBehindIt()
    {
        var embedding = Sample.Model with { Id = "mesh/e", Capabilities = new HashSet<string>(["embeddings"]) };
        var catalog = new ModelCatalog(
            [],
            [new(Sample.Model, new NoClient(), PrivacyMarks.Nothing)],
            [new(embedding, null!, PrivacyMarks.Nothing)],
            new Dictionary<string, string> { ["mesh/swift"] = "mesh/sample", ["mesh/embed"] = "mesh/e" });

        Assert.Equal("mesh/sample", catalog.Find("mesh/swift")!.Model.Id);
        Assert.Equal("mesh/e", Assert.Single(catalog.EmbeddingRoutes("mesh/embed")).Model.Id);
        Assert.Null(catalog.Find("mesh/embed"));
        Assert.Null(catalog.Find("mesh/e"));
        Assert.Empty(catalog.EmbeddingRoutes("mesh/swift"));
        Assert.Single(catalog.Entries);
    }

    private static ModelCatalog Catalog(params string[] ids) => new(
        [], ids.Select(id => new CatalogEntry(Sample.Model with { Id = id }, new NoClient(), PrivacyMarks.Nothing)));
}
