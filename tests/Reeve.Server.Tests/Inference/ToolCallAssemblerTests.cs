using Microsoft.Extensions.AI;
using Reeve.Server.Inference.Providers;

namespace Reeve.Server.Tests.Inference;

public sealed class ToolCallAssemblerTests
{
    /// <summary>An é stands for half a surrogate pair, which an attribute cannot hold.</summary>
    [Theory]
    [InlineData("{\"a\":1}", false)]
    [InlineData("", false)]
    [InlineData("[]", true)]
    [InlineData("{\"a\":", true)]
    [InlineData("{\"a\":\"é\"}", true)]
    [InlineData("é", true)]
    public void MoveTo_Arguments_AreAnObjectOrTheModelsMistake(string arguments, bool isMistake)
    {
        var calls = new ToolCallAssembler();
        calls.Add(0, "call", "time", arguments.Replace('é', '\ud800'));
        var contents = new List<AIContent>();

        calls.MoveTo(contents, new IdGenerator(TimeProvider.System));

        Assert.Equal(isMistake, Assert.IsType<FunctionCallContent>(Assert.Single(contents)).Exception is not null);
    }
}
