using System.Text;
using System.Text.Json;
using CsCheck;
using Reeve.Server.Receipts;

namespace Reeve.Server.Tests.Receipts;

public sealed class CanonicalJsonTests
{
    // Appendix B of RFC 8785.
    [Theory]
    [InlineData(0x0000000000000000, "0")]
    [InlineData(0x8000000000000000, "0")]
    [InlineData(0x0000000000000001, "5e-324")]
    [InlineData(0x8000000000000001, "-5e-324")]
    [InlineData(0x7fefffffffffffff, "1.7976931348623157e+308")]
    [InlineData(0xffefffffffffffff, "-1.7976931348623157e+308")]
    [InlineData(0x4340000000000000, "9007199254740992")]
    [InlineData(0xc340000000000000, "-9007199254740992")]
    [InlineData(0x4430000000000000, "295147905179352830000")]
    [InlineData(0x44b52d02c7e14af5, "9.999999999999997e+22")]
    [InlineData(0x44b52d02c7e14af6, "1e+23")]
    [InlineData(0x44b52d02c7e14af7, "1.0000000000000001e+23")]
    [InlineData(0x444b1ae4d6e2ef4e, "999999999999999700000")]
    [InlineData(0x444b1ae4d6e2ef4f, "999999999999999900000")]
    [InlineData(0x444b1ae4d6e2ef50, "1e+21")]
    [InlineData(0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7")]
    [InlineData(0x3eb0c6f7a0b5ed8d, "0.000001")]
    [InlineData(0x41b3de4355555553, "333333333.3333332")]
    [InlineData(0x41b3de4355555554, "333333333.33333325")]
    [InlineData(0x41b3de4355555555, "333333333.3333333")]
    [InlineData(0x41b3de4355555556, "333333333.3333334")]
    [InlineData(0x41b3de4355555557, "333333333.33333343")]
    [InlineData(0xbecbf647612f3696, "-0.0000033333333333333333")]
    [InlineData(0x43143ff3c1cb0959, "1424953923781206.2")]
    public void Number_OfTheRfc_IsPrintedAsThere(ulong bits, string expected)
    {
        Span<byte> output = stackalloc byte[EcmaScriptNumber.LengthMax];
        var length = EcmaScriptNumber.Format(BitConverter.UInt64BitsToDouble(bits), output);
        Assert.Equal(expected, Encoding.ASCII.GetString(output[..length]));
    }

    [Fact]
    public void Number_AnyDouble_ReadsBackAsItself() => Gen.Double.Where(double.IsFinite).Sample(value =>
    {
        Span<byte> output = stackalloc byte[EcmaScriptNumber.LengthMax];
        var length = EcmaScriptNumber.Format(value, output);
        return JsonElement.Parse(output[..length]).GetDouble() == value;
    });

    [Theory]
    [InlineData("1e400")]
    [InlineData("-1e400")]
    public void Number_BeyondADouble_IsRefused(string json) =>
        Assert.Throws<FormatException>(() => CanonicalJson.Serialize(JsonElement.Parse(json)));

    // Section 3.2.2 and 3.2.3 of RFC 8785.
    [Theory]
    [InlineData(
        """{"numbers":[333333333.33333329,1E30,4.50,2e-3,"""
            + """0.000000000000000000000000001],"string":"\u20ac$"""
            + """\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}""",
        """{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,"""
            + """0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}""")]
    [InlineData(
        """{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew """
            + """Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: """
            + """Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}""",
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\","
            + "\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\","
            + "\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}")]
    [InlineData(""" [ 1 , { "b" : { } , "a" : [ ] } ] """, """[1,{"a":[],"b":{}}]""")]
    [InlineData("\"\\b\\t\\n\\f\\r\\u001f\\u007f\\u2028\"", "\"\\b\\t\\n\\f\\r\\u001f\u007f\u2028\"")]
    public void Serialize_OfTheRfc_GivesThoseBytes(string json, string expected) =>
        Assert.Equal(expected, Encoding.UTF8.GetString(CanonicalJson.Serialize(JsonElement.Parse(json))));

    [Theory]
    [InlineData("""{"a":1,"a":1}""")]
    [InlineData("""{"a":{"b":1,"\u0062":2}}""")]
    [InlineData("""["\ud800"]""")]
    [InlineData("""{"\udc00":1}""")]
    public void Serialize_WithoutACanonicalForm_IsRefused(string json) =>
        Assert.Throws<FormatException>(() => CanonicalJson.Serialize(JsonElement.Parse(json)));

    [Fact]
    public void Serialize_LeavingOut_SkipsOutermostMembersOnly()
    {
        var bytes = CanonicalJson.Serialize(
            JsonElement.Parse("""{"stream":true,"b":{"stream":1},"a":2}"""), "stream", "background");
        Assert.Equal("""{"a":2,"b":{"stream":1}}""", Encoding.UTF8.GetString(bytes));
    }

    [Fact]
    public void Writer_NamesOutOfOrder_AreRefused()
    {
        var writer = new CanonicalWriter();
        writer.StartObject();
        writer.Name("b");
        writer.Literal("1"u8);
        Assert.Throws<FormatException>(() => writer.Name("a"));
    }

    [Fact]
    public void Serialize_AnyString_ReadsBackAsItself() => Gen.String.Where(IsWhole).Sample(text =>
    {
        var json = $"\"{JsonEncodedText.Encode(text)}\"";
        return JsonElement.Parse(CanonicalJson.Serialize(JsonElement.Parse(json))).GetString() == text;
    });

    private static bool IsWhole(string text) => text.EnumerateRunes().All(rune => rune != Rune.ReplacementChar);
}
