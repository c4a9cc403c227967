using System.Text.Json;
using Reeve.Server.Runs;
using Reeve.Server.Tools;

namespace Reeve.Server.Tests.Runs;

public sealed class OutputCheckTests
{
    private static readonly JsonSchema Schema = JsonSchema.Parse(JsonElement.Parse(
        """{"type":"object","properties":{"a":{"type":"string","maxLength":3}},"propertyNames":{"maxLength":3}}"""));

    /// <summary>An é stands for half a surrogate pair, which an attribute cannot hold.</summary>
    [Theory]
    [InlineData("{\"a\":\"b\"}", true)]
    [InlineData("{\"a\":\"long\"}", false)]
    [InlineData("not JSON", false)]
    [InlineData("{\"a\":\"é\"}", false)]
    [InlineData("{\"a\":\"\\ud800\"}", false)]
    [InlineData("{\"\\ud800\":1}", false)]
    public void Complain_Output_IsTakenOrExplained(string output, bool fits) =>
        Assert.Equal(fits, OutputCheck.Complain(Schema, output.Replace('é', '\ud800')) is null);
}
