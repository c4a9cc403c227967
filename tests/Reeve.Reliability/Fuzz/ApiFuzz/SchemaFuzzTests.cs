using System.Text.Json;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

public sealed class SchemaFuzzTests
{
    [Fact]
    public async Task Api_ThousandRequestsOfTheDocument_AnswersAsItSays()
    {
        var score = await SchemaFuzz.RunAsync(
            new Trial(Scale.Test, 1, TestContext.Current.TestOutputHelper!.WriteLine));

        TestContext.Current.TestOutputHelper.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }

    [Theory]
    [InlineData("9007199254740992", true)]
    [InlineData("9007199254740993", false)]
    [InlineData("1e400", false)]
    public void Check_MaximumPastTheDoubles_IsExact(string value, bool fits)
    {
        var check = new SchemaCheck(ApiSpec.Load());
        var schema = JsonElement.Parse("""{"type":"integer","minimum":0,"maximum":9007199254740992}""");

        Assert.Equal(fits, check.Errors(schema, JsonElement.Parse(value)).Count == 0);
    }
}
