using System.Text.Json;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using Reeve.Server.Tools;
using static Reeve.Server.Tests.Retrieval.RetrievalWorld;

namespace Reeve.Server.Tests.Retrieval;

public sealed class KnowledgeToolTests : IDisposable
{
    private readonly RetrievalWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task Search_Query_AnswersChunksWithTheirSourcesAndClass()
    {
        await _world.AddAsync("The ferry leaves at noon.", "ferry.md");
        await _world.AddAsync(Ours, "agt_1",
            Text("The ferry captain is Ms Berg.", "crew.md") with { PrivacyClass = PrivacyClass.Protected });

        var result = await InvokeAsync("""{"query":"ferry captain","limit":2}""");

        Assert.False(result.IsError);
        Assert.Equal(PrivacyClass.Protected, result.PrivacyClass);
        Assert.Equal(["crew.md", "ferry.md"], result.Sources.Select(source => source.Name));
        var first = result.Result[0];
        Assert.Equal("The ferry captain is Ms Berg.", first.GetProperty("text").GetString());
        Assert.Equal(result.Sources[0].ChunkId, first.GetProperty("chunkId").GetString());
        Assert.Equal(result.Sources[0].DocumentId, first.GetProperty("documentId").GetString());
        Assert.Equal(result.Sources[0].Score, first.GetProperty("score").GetDouble());
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"query":""}""")]
    [InlineData("""{"query":5}""")]
    [InlineData("""{"query":"x","limit":21}""")]
    [InlineData("""{"query":"x","limit":1.5}""")]
    [InlineData("""{"query":"x","other":1}""")]
    public async Task Search_WrongArguments_IsAnErrorForTheModel(string arguments)
    {
        var result = await InvokeAsync(arguments);

        Assert.True(result.IsError);
        Assert.NotEmpty(result.Result.GetProperty("error").GetString()!);
    }

    [Fact]
    public async Task Other_Action_IsAnErrorForTheModel() =>
        Assert.True((await InvokeAsync("{}", "erase")).IsError);

    private Task<ToolResult> InvokeAsync(string arguments, string action = "search") =>
        new KnowledgeTool(_world.Retriever).InvokeAsync(action, JsonElement.Parse(arguments),
            new ToolCallContext(Ours, "agt_1", "run_1", "call_1", PrivacyClass.Standard),
            TestContext.Current.CancellationToken);
}
