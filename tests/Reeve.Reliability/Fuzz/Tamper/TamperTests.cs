using System.Text;

namespace Reeve.Reliability.Fuzz.Tamper;

public sealed class TamperTests
{
    [Fact]
    public async Task Receipts_AndLogs_ThatWereChanged_AreFound()
    {
        var score = await TamperHarness.RunAsync(
            new Trial(Scale.Test, 1, TestContext.Current.TestOutputHelper!.WriteLine));

        TestContext.Current.TestOutputHelper.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }

    /// <summary>The judge of the changes, whose mistakes would hide those of the verifier.</summary>
    [Theory]
    [InlineData("""{"a":1,"b":"é"}""", """{ "b":"\u00e9","a":1.0e0 }""", true)]
    [InlineData("""{"a":0.1}""", """{"a":0.10000000000000000001}""", true)]
    [InlineData("""{"a":0.1}""", """{"a":0.1000000000000001}""", false)]
    [InlineData("""{"a":1}""", """{"a":1,"a":1}""", false)]
    [InlineData("""{"a":1}""", """{"a":"1"}""", false)]
    [InlineData("""{"a":1}""", """{"a":1,"b":null}""", false)]
    [InlineData("""{"a":"x"}""", """{"a":"X"}""", false)]
    [InlineData("""{"a":[1,2]}""", """{"a":[2,1]}""", false)]
    [InlineData("""{"a":1}""", """{"a":1}x""", false)]
    public void SayTheSame_TwoTexts_ComparesTheirValues(string left, string right, bool expected) => Assert.Equal(
        expected, ReceiptTampers.SayTheSame(Encoding.UTF8.GetBytes(left), Encoding.UTF8.GetBytes(right)));
}
