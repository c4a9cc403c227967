using Reeve.Server.Tools;

namespace Reeve.Server.Tests.Tools;

public sealed class ToolCatalogTests
{
    private readonly ToolCatalog _catalog = new(
        [new FakeTool("time", "now", "zones"), new FakeTool("knowledge", "search")]);

    [Fact]
    public void Offer_NoTools_OffersNothing() => Assert.Empty(_catalog.Offer([], hasReadyDocuments: false).Functions);

    [Fact]
    public void Offer_ReadyDocuments_AddsKnowledgeByItself() =>
        Assert.Equal(["knowledge-search"], Names(_catalog.Offer([], hasReadyDocuments: true)));

    [Fact]
    public void Offer_ToolWithoutActions_OffersAllOfThem() =>
        Assert.Equal(["time-now", "time-zones"], Names(_catalog.Offer([Tool("time")], hasReadyDocuments: false)));

    [Fact]
    public void Offer_ListedActions_OffersThose() => Assert.Equal(["time-now"], Names(_catalog.Offer(
        [Tool("time", new ToolActionChoice { Name = "now" })], hasReadyDocuments: false)));

    [Fact]
    public void Offer_DeniedKnowledge_StaysAwayThoughThereAreDocuments() => Assert.Empty(_catalog.Offer(
        [Tool("knowledge", new ToolActionChoice { Name = "search", Permission = "deny" })],
        hasReadyDocuments: true).Functions);

    [Fact]
    public void Offer_DescriptionOfTheAgent_ReplacesTheToolsOwn()
    {
        var offer = _catalog.Offer(
            [Tool("time", new ToolActionChoice { Name = "now", Description = "Mine." })], hasReadyDocuments: false);
        Assert.Equal("Mine.", Assert.Single(offer.Functions).Declaration.Description);
    }

    [Fact]
    public void Offer_ToolThatTheServerLost_IsLeftOut() =>
        Assert.Empty(_catalog.Offer([Tool("calculator")], hasReadyDocuments: false).Functions);

    [Fact]
    public void Offer_SameTools_IsBuiltOnce()
    {
        IReadOnlyList<ToolDefinition> tools = [Tool("time")];
        Assert.Same(_catalog.Offer(tools, hasReadyDocuments: true), _catalog.Offer(tools, hasReadyDocuments: true));
    }

    [Fact]
    public void Find_NameOfTheModel_LeadsBackToToolAndAction()
    {
        var offer = _catalog.Offer([Tool("time")], hasReadyDocuments: true);
        Assert.Equal(("time", "zones"), (offer.Find("time-zones")!.Tool, offer.Find("time-zones")!.Action));
        Assert.Null(offer.Find("time-today"));
    }

    [Fact]
    public void FunctionName_OverTheLimit_IsCutAndStaysTellable()
    {
        var tool = new string('t', 48);
        var first = ToolCatalog.FunctionName(tool, new string('a', 48));
        var second = ToolCatalog.FunctionName(tool, new string('a', 47));
        Assert.Equal(64, first.Length);
        Assert.NotEqual(first, second);
        Assert.Matches("^[a-zA-Z0-9_-]{1,64}$", first);
    }

    private static ToolDefinition Tool(string name, params ToolActionChoice[] actions) =>
        new() { Name = name, Type = "builtin", Actions = actions.Length == 0 ? null : actions };

    private static IEnumerable<string> Names(ToolSet offer) => offer.Functions.Select(function => function.Name);
}
