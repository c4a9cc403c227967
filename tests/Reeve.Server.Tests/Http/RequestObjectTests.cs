using System.Text.Json;
using Reeve.Server.Http;

namespace Reeve.Server.Tests.Http;

public sealed class RequestObjectTests
{
    [Theory]
    [InlineData("""{"s":1}""", "s")]
    [InlineData("""{"s":["a"]}""", "s")]
    [InlineData("""{"s":""}""", "s")]
    [InlineData("""{"s":"abcd"}""", "s")]
    [InlineData("""{"s":"a","w":"C"}""", "w")]
    [InlineData("""{"s":"a","b":"true"}""", "b")]
    [InlineData("""{"s":"a","b":1}""", "b")]
    [InlineData("""{"s":"a","i":1.5}""", "i")]
    [InlineData("""{"s":"a","i":"1"}""", "i")]
    [InlineData("""{"s":"a","i":0}""", "i")]
    [InlineData("""{"s":"a","i":1e400}""", "i")]
    [InlineData("""{"s":"a","n":0.001}""", "n")]
    [InlineData("""{"s":"a","n":11}""", "n")]
    [InlineData("""{"s":"a","o":[]}""", "o")]
    [InlineData("""{"s":"a","o":{"x":""}}""", "o.x")]
    [InlineData("""{"s":"a","o":{"y":1}}""", "o.y")]
    [InlineData("""{"s":"a","l":[{},1]}""", "l[1]")]
    [InlineData("""{"s":"a","l":[{},{"x":"a","y":1}]}""", "l[1].y")]
    [InlineData("""{"s":"a","t":["a",""]}""", "t[1]")]
    [InlineData("""{"s":"a","t":["a","b","c"]}""", "t")]
    [InlineData("""{"s":"a","m":[]}""", "m")]
    [InlineData("""{"s":"a","m":{"":1}}""", "m")]
    [InlineData("""{"s":"a","S":"a"}""", "S")]
    [InlineData("""{}""", "s")]
    [InlineData("""{"s":null}""", "s")]
    public void Read_WrongMember_IsRefusedByItsPath(string json, string path)
    {
        var error = Assert.Throws<ApiException>(() => Read(json));

        Assert.Equal((ApiErrorCodes.InvalidRequest, path), (error.Code, error.Param));
        Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"s":"abc","w":"b","b":false,"i":3.0,"n":0.01,"o":{"x":"a"},"l":[{}],"t":["a","b"]}""")]
    [InlineData("""{"s":"abc","m":{"k":[1,{"any":null}]}}""")]
    [InlineData("""{"s":"\ud83d\ude00\ud83d\ude00\ud83d\ude00"}""")]
    [InlineData("""{"s":" a ","w":null,"b":null,"i":null,"n":null,"o":null,"l":null,"t":null,"m":null}""")]
    public void Read_RightMembers_IsAccepted(string json) => Read(json);

    [Fact]
    public void RejectUnknown_NearAKnownName_SuggestsIt()
    {
        var body = new RequestObject(JsonElement.Parse("""{"max_step":1}"""));
        body.Integer("max_steps", 1, 10);

        var error = Assert.Throws<ApiException>(body.RejectUnknown);

        Assert.Equal("max_step is not a known field here (did you mean max_steps?).", error.Message);
    }

    [Fact]
    public void Metadata_Above16KiB_IsRefused()
    {
        var body = new RequestObject(JsonElement.Parse($$$"""{"m":{"k":"{{{new string('a', 16 * 1024)}}}"}}"""));

        Assert.Equal("m", Assert.Throws<ApiException>(() => body.Metadata("m")).Param);
    }

    private static void Read(string json)
    {
        var body = new RequestObject(JsonElement.Parse(json));
        body.RequiredString("s", 1, 3);
        body.Word("w", "a", "b");
        body.Boolean("b");
        body.Integer("i", 1, 10);
        body.Number("n", 0.01m, 10, 2);
        body.Object("o")?.String("x", 1, 3);
        foreach (var item in body.Objects("l", 2) ?? [])
        {
            item.String("x", 1, 3);
        }

        body.Strings("t", 2, 5);
        body.Metadata("m");
        body.RejectUnknown();
    }
}
