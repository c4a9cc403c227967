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
        foreach (var kind in (string[])[ProviderKinds.Anthropic, ProviderKinds.OpenAI])
        {
            foreach (var model in WellKnownModels.Of(kind))
            {
                Assert.StartsWith("mesh/", model.Id, StringComparison.Ordinal);
                Assert.True(model.InputUsdPerMillion > 0 && model.OutputUsdPerMillion > model.InputUsdPerMillion);
                Assert.True(model.OutputTokensMax <= model.ContextTokens);
                Assert.True(DateOnly.FromDateTime(model.CreatedAt.UtcDateTime) <= WellKnownModels.PricedOn);
            }
        }
    }

    private static ModelCatalog Catalog(params string[] ids) => new(
        [], ids.Select(id => new CatalogEntry(Sample.Model with { Id = id }, new NoClient(), PrivacyMarks.Nothing)));
}
