using System.Text.Json;
using CsCheck;
using Reeve.Server.Tools;

namespace Reeve.Server.Tests.Tools;

public sealed class JsonSchemaTests
{
    [Theory]
    [InlineData("""{}""", """[1,{"a":null}]""", true)]
    [InlineData("""{"type":"object"}""", "{}", true)]
    [InlineData("""{"type":"object"}""", "[]", false)]
    [InlineData("""{"type":["string","null"]}""", "null", true)]
    [InlineData("""{"type":["string","null"]}""", "1", false)]
    [InlineData("""{"type":"integer"}""", "1.0", true)]
    [InlineData("""{"type":"integer"}""", "1e30", true)]
    [InlineData("""{"type":"integer"}""", "1.5", false)]
    [InlineData("""{"type":"number"}""", "1", true)]
    [InlineData("""{"type":"boolean"}""", "false", true)]
    [InlineData("""{"enum":[1,"a",{"b":[1]}]}""", """{"b":[1.0]}""", true)]
    [InlineData("""{"enum":[1,"a"]}""", "\"b\"", false)]
    [InlineData("""{"const":null}""", "null", true)]
    [InlineData("""{"const":0}""", "false", false)]
    [InlineData("""{"enum":[1,2],"const":2}""", "1", false)]
    [InlineData("""{"enum":[1,2],"const":2}""", "2", true)]
    [InlineData("""{"minLength":2,"maxLength":2}""", "\"😀😀\"", true)]
    [InlineData("""{"maxLength":1}""", "\"ab\"", false)]
    [InlineData("""{"minLength":2}""", "\"a\"", false)]
    [InlineData("""{"pattern":"^a+$"}""", "\"aaa\"", true)]
    [InlineData("""{"pattern":"^a+$"}""", "\"aaa\\n\"", false)]
    [InlineData("""{"pattern":"b"}""", "\"abc\"", true)]
    [InlineData("""{"pattern":"^\\d$"}""", "\"٣\"", false)]
    [InlineData("""{"pattern":"^[\\d\\-]+$"}""", "\"1-2\"", true)]
    [InlineData("""{"pattern":"^[\\w.]+$"}""", "\"é\"", false)]
    [InlineData("""{"pattern":"^[a-z-[aeiou]$"}""", "\"[\"", true)]
    [InlineData("""{"minimum":0.1,"maximum":0.3}""", "0.3", true)]
    [InlineData("""{"minimum":0.1}""", "0.09", false)]
    [InlineData("""{"exclusiveMinimum":0}""", "0", false)]
    [InlineData("""{"exclusiveMinimum":0}""", "1e-300", true)]
    [InlineData("""{"exclusiveMaximum":3}""", "3.0", false)]
    [InlineData("""{"maximum":1e300}""", "1e301", false)]
    [InlineData("""{"multipleOf":0.01}""", "19.99", true)]
    [InlineData("""{"multipleOf":0.01}""", "19.995", false)]
    [InlineData("""{"multipleOf":1e-28}""", "7e28", true)]
    public void Validate_Scalars_FitAsTheSchemaSays(string schema, string value, bool fits) =>
        Check(schema, value, fits);

    [Theory]
    [InlineData("""{"properties":{"a":{"type":"string"}}}""", """{"a":"x","b":1}""", true)]
    [InlineData("""{"properties":{"a":{"type":"string"}}}""", """{"a":1}""", false)]
    [InlineData("""{"required":["a"]}""", """{"b":1}""", false)]
    [InlineData("""{"required":["a"]}""", "1", true)]
    [InlineData("""{"properties":{"a":true},"additionalProperties":false}""", """{"a":1}""", true)]
    [InlineData("""{"properties":{"a":true},"additionalProperties":false}""", """{"b":1}""", false)]
    [InlineData("""{"additionalProperties":{"type":"integer"}}""", """{"b":"x"}""", false)]
    [InlineData("""{"patternProperties":{"^x_":{"type":"integer"}},"additionalProperties":false}""",
        """{"x_a":1}""", true)]
    [InlineData("""{"patternProperties":{"^x_":{"type":"integer"}},"additionalProperties":false}""",
        """{"x_a":"1"}""", false)]
    [InlineData("""{"propertyNames":{"maxLength":2}}""", """{"ab":1}""", true)]
    [InlineData("""{"propertyNames":{"maxLength":2}}""", """{"a\"\\":1,"abc":1}""", false)]
    [InlineData("""{"minProperties":1}""", "{}", false)]
    [InlineData("""{"maxProperties":1}""", """{"a":1,"b":1}""", false)]
    [InlineData("""{"dependentRequired":{"a":["b"]}}""", """{"a":1}""", false)]
    [InlineData("""{"dependentRequired":{"a":["b"]}}""", """{"c":1}""", true)]
    [InlineData("""{"dependentSchemas":{"a":{"required":["b"]}}}""", """{"a":1}""", false)]
    [InlineData("""{"dependentSchemas":{"a":{"required":["b"]}}}""", """{"a":1,"b":1}""", true)]
    [InlineData("""{"items":{"type":"integer"}}""", "[1,2]", true)]
    [InlineData("""{"items":{"type":"integer"}}""", "[1,\"2\"]", false)]
    [InlineData("""{"prefixItems":[{"type":"string"}],"items":false}""", "[\"a\"]", true)]
    [InlineData("""{"prefixItems":[{"type":"string"}],"items":false}""", "[\"a\",1]", false)]
    [InlineData("""{"contains":{"const":1}}""", "[2,1]", true)]
    [InlineData("""{"contains":{"const":1}}""", "[2]", false)]
    [InlineData("""{"contains":{"const":1},"minContains":0}""", "[2]", true)]
    [InlineData("""{"contains":{"const":1},"maxContains":1}""", "[1,1]", false)]
    [InlineData("""{"minItems":1}""", "[]", false)]
    [InlineData("""{"maxItems":1}""", "[1,2]", false)]
    [InlineData("""{"uniqueItems":true}""", """[{"a":1,"b":2},{"b":2,"a":1.0}]""", false)]
    [InlineData("""{"uniqueItems":true}""", """[1,"1",true,[1],{"a":1}]""", true)]
    public void Validate_ObjectsAndArrays_FitAsTheSchemaSays(string schema, string value, bool fits) =>
        Check(schema, value, fits);

    [Theory]
    [InlineData("""{"allOf":[{"minimum":1},{"maximum":3}]}""", "2", true)]
    [InlineData("""{"allOf":[{"minimum":1},{"maximum":3}]}""", "4", false)]
    [InlineData("""{"anyOf":[{"type":"string"},{"minimum":3}]}""", "3", true)]
    [InlineData("""{"anyOf":[{"type":"string"},{"minimum":3}]}""", "2", false)]
    [InlineData("""{"oneOf":[{"multipleOf":2},{"multipleOf":3}]}""", "4", true)]
    [InlineData("""{"oneOf":[{"multipleOf":2},{"multipleOf":3}]}""", "6", false)]
    [InlineData("""{"oneOf":[{"multipleOf":2},{"multipleOf":3}]}""", "7", false)]
    [InlineData("""{"not":{"type":"string"}}""", "\"a\"", false)]
    [InlineData("""{"if":{"type":"string"},"then":{"minLength":2},"else":{"minimum":5}}""", "\"a\"", false)]
    [InlineData("""{"if":{"type":"string"},"then":{"minLength":2},"else":{"minimum":5}}""", "5", true)]
    [InlineData("""{"then":false}""", "1", true)]
    [InlineData("""{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}""", "1", false)]
    [InlineData("""{"$ref":"#/$defs/a","minLength":2,"$defs":{"a":{"type":"string"}}}""", "\"a\"", false)]
    [InlineData("""{"$ref":"#/$defs/a~1b%25","$defs":{"a/b%":{"type":"string"}}}""", "\"x\"", true)]
    [InlineData("""{"$ref":"#here","$defs":{"a":{"$anchor":"here","type":"string"}}}""", "1", false)]
    [InlineData("""{"$ref":"#/x/0/y","x":[{"y":{"type":"string"}}]}""", "1", false)]
    [InlineData("""{"type":"object","properties":{"next":{"$ref":"#"}},"additionalProperties":false}""",
        """{"next":{"next":{}}}""", true)]
    [InlineData("""{"type":"object","properties":{"next":{"$ref":"#"}},"additionalProperties":false}""",
        """{"next":{"next":{"x":1}}}""", false)]
    [InlineData("""{"format":"email","title":"t","x-own":[1]}""", "\"no address\"", true)]
    public void Validate_Combinations_FitAsTheSchemaSays(string schema, string value, bool fits) =>
        Check(schema, value, fits);

    [Theory]
    [InlineData("""[]""", "object")]
    [InlineData("""{"type":"text"}""", "#/type")]
    [InlineData("""{"properties":{"a/b":{"type":3}}}""", "#/properties/a~1b/type")]
    [InlineData("""{"properties":[]}""", "#/properties")]
    [InlineData("""{"properties":{"a":1}}""", "#/properties/a")]
    [InlineData("""{"items":[{}]}""", "prefixItems")]
    [InlineData("""{"minLength":-1}""", "#/minLength")]
    [InlineData("""{"minLength":1.5}""", "#/minLength")]
    [InlineData("""{"multipleOf":0}""", "#/multipleOf")]
    [InlineData("""{"anyOf":[]}""", "#/anyOf")]
    [InlineData("""{"required":"a"}""", "#/required")]
    [InlineData("""{"pattern":"("}""", "#/pattern")]
    [InlineData("""{"pattern":"(?=a)"}""", "#/pattern")]
    [InlineData("""{"pattern":"(a)\\1"}""", "#/pattern")]
    [InlineData("""{"pattern":"((a{99}){99}){99}"}""", "repeats")]
    [InlineData("""{"unevaluatedProperties":false}""", "not supported")]
    [InlineData("""{"$dynamicRef":"#a"}""", "not supported")]
    [InlineData("""{"$ref":"https://example.com/a.json"}""", "not fetched")]
    [InlineData("""{"$ref":"other.json#/a"}""", "not fetched")]
    [InlineData("""{"$ref":"#/nothing"}""", "points to nothing")]
    [InlineData("""{"$ref":"#nothing"}""", "anchor")]
    [InlineData("""{"items":{"$id":"x"}}""", "#/items/$id")]
    [InlineData("""{"$ref":"#"}""", "refers to itself")]
    [InlineData("""{"anyOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"not":{"$ref":"#"}}}}""", "refers to itself")]
    public void Parse_UnusableSchema_NamesThePlace(string schema, string expected)
    {
        var error = Assert.Throws<JsonSchemaException>(() => JsonSchema.Parse(JsonElement.Parse(schema)));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_OverTheSizeLimit_IsRefused() => Assert.Throws<JsonSchemaException>(() =>
        JsonSchema.Parse(JsonElement.Parse($$"""{"title":"{{new string('a', JsonSchema.BytesMax)}}"}""")));

    [Fact]
    public void Parse_LongChainOfReferences_IsRefusedAndDoesNotOverflow()
    {
        var links = string.Join(',', Enumerable.Range(0, 900).Select(i => $$"""
            "d{{i}}":{"$ref":"#/$defs/d{{i + 1}}"}
            """.Trim()));
        var schema = "{\"$ref\":\"#/$defs/d0\",\"$defs\":{" + links + ",\"d900\":{}}}";
        Assert.Throws<JsonSchemaException>(() => JsonSchema.Parse(JsonElement.Parse(schema)));
    }

    [Fact]
    public void Validate_SchemaThatDoublesItsWork_EndsAsAnError()
    {
        var doubling = string.Join(',', Enumerable.Range(0, 28).Select(i => $$"""
            "d{{i}}":{"allOf":[{"$ref":"#/$defs/d{{i + 1}}"},{"$ref":"#/$defs/d{{i + 1}}"}]}
            """.Trim()));
        var schema = JsonSchema.Parse(JsonElement.Parse(
            "{\"not\":{\"$ref\":\"#/$defs/d0\"},\"$defs\":{" + doubling + ",\"d28\":{}}}"));
        var error = Assert.Single(schema.Validate(JsonElement.Parse("1")));
        Assert.Contains("bounds", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_EvilPatternOnALongText_IsBounded()
    {
        var schema = JsonSchema.Parse(JsonElement.Parse("""{"pattern":"^(a+)+$"}"""));
        var text = $"\"{new string('a', 100_000)}!\"";
        Assert.NotEmpty(schema.Validate(JsonElement.Parse(text)));
    }

    [Fact]
    public void Validate_ManyNumbersADoubleCannotTell_IsBounded()
    {
        var schema = JsonSchema.Parse(JsonElement.Parse("""{"uniqueItems":true}"""));
        var numbers = string.Join(',', Enumerable.Range(0, 40_000).Select(i => $"1.00000000000000000{i:00000}"));
        Assert.Empty(schema.Validate(JsonElement.Parse($"[{numbers}]")));
    }

    [Fact]
    public void Validate_SeveralFaults_ReportsEachWithItsPlace()
    {
        var schema = JsonSchema.Parse(JsonElement.Parse("""
            {"type":"object","required":["city"],"properties":{"a/b":{"items":{"type":"integer"}},"n":{"maximum":3}}}
            """));
        var errors = schema.Validate(JsonElement.Parse("""{"a/b":[1,"x"],"n":4}"""));
        Assert.Equal(
            [("/a~1b/1", "must be integer"), ("/n", "must be at most 3"), ("", "must have the member city")],
            errors.Select(error => (error.Path, error.Message)));
        Assert.Single(schema.Validate(JsonElement.Parse("""{"a/b":[1,"x"],"n":4}"""), errorsMax: 1));
    }

    // Whatever the schema and the value are, the answer is a list or a refusal, never another exception.
    [Fact]
    public void Validate_AnySchemaAndValue_DoesNotFail()
    {
        var leaves = Gen.OneOf("1", "-2.5", "\"a\"", "true", "null", "\"string\"", "\"object\"", "\"#\"", "[]", "{}");
        var names = Gen.OneOf("type", "items", "properties", "allOf", "anyOf", "not", "$ref", "enum", "const",
            "required", "minimum", "pattern", "additionalProperties", "prefixItems", "if", "then", "contains",
            "uniqueItems", "a");
        var json = Gen.Recursive<string>((depth, inner) => depth > 4
            ? leaves
            : Gen.OneOf(leaves, inner.Array[0, 3].Select(items => $"[{string.Join(',', items)}]"),
                Gen.Select(names, inner).Array[0, 4].Select(members => "{" + string.Join(',',
                    members.DistinctBy(member => member.Item1)
                        .Select(member => $"\"{member.Item1}\":{member.Item2}")) + "}")));
        Gen.Select(json, json).Sample((schema, value) =>
        {
            try
            {
                _ = JsonSchema.Parse(JsonElement.Parse(schema)).Validate(JsonElement.Parse(value));
            }
            catch (JsonSchemaException)
            {
                return;
            }
        });
    }

    private static void Check(string schema, string value, bool fits)
    {
        var errors = JsonSchema.Parse(JsonElement.Parse(schema)).Validate(JsonElement.Parse(value));
        Assert.Equal(fits, errors.Count == 0);
    }
}
