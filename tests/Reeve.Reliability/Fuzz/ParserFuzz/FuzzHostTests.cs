using System.Text;
using System.Text.Json;

namespace Reeve.Reliability.Fuzz.ParserFuzz;

public sealed class FuzzHostTests
{
    [Fact]
    public async Task Parsers_ChangedInputs_AreTakenOrRefused()
    {
        var score = await FuzzHost.RunAsync(
            new Trial(Scale.Test, 1, TestContext.Current.TestOutputHelper!.WriteLine));

        TestContext.Current.TestOutputHelper.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }

    [Fact]
    public void Parser_WithABug_IsFound()
    {
        var problems = new List<string>();
        var fragile = new FuzzTarget("one that believes its input", 1, static bytes =>
            _ = JsonElement.Parse(bytes.Span).GetProperty("size").GetInt32(),
            static error => error is JsonException, """{"size":10}""");
        var greedy = new FuzzTarget("one that makes room first", 1, static bytes =>
            _ = int.TryParse(Encoding.UTF8.GetString(bytes.Span), out var size) && size is > 0 and < 100_000_000
                ? new byte[size]
                : null,
            static _ => false, "1000000");

        FuzzHost.Run(fragile, 2_000, 1, problems);
        Assert.NotEmpty(problems);
        problems.Clear();
        FuzzHost.Run(greedy, 20_000, 1, problems);
        Assert.Contains(problems, static one => one.Contains("allocated", StringComparison.Ordinal));
    }
}
