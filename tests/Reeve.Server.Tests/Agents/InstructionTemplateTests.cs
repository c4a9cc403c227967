using System.Text.Json;
using CsCheck;
using Reeve.Server.Agents;

namespace Reeve.Server.Tests.Agents;

public sealed class InstructionTemplateTests
{
    private static readonly TemplateValues Values = new("u_42", "Example {{user.id}}",
        JsonElement.Parse("""{"plan":"free","city":"Oslo"}"""),
        JsonElement.Parse("""
            {"plan":"pro","n":1.50,"list":[ 1, "a" ],"none":null,"a b":"spaced","x":"{{metadata.plan}}"}
            """));

    [Theory]
    [InlineData("Hello {{user.id}}.", "Hello u_42.")]
    [InlineData("Hello {{user.name}}.", "Hello Example {{user.id}}.")]
    [InlineData("{{metadata.plan}} {{metadata.city}}", "pro Oslo")]
    [InlineData("{{metadata.n}} {{metadata.list}} {{metadata.none}}", "1.50 [1,\"a\"] null")]
    [InlineData("{{metadata.a b}}{{metadata.x}}", "spaced{{metadata.plan}}")]
    [InlineData("[{{metadata.unknown}}]", "[]")]
    [InlineData("{{{user.id}}}", "{u_42}")]
    [InlineData("{{ user.id }} {user.id} {{user}} {{metadata.}} {{}} {{User.id}}",
        "{{ user.id }} {user.id} {{user}} {{metadata.}} {{}} {{User.id}}")]
    [InlineData("{{metadata.{{user.id}}}}", "{{metadata.u_42}}")]
    [InlineData("{{user.id", "{{user.id")]
    [InlineData("a}}b{{", "a}}b{{")]
    [InlineData("", "")]
    public void Render_Template_ReplacesWhatIsNamedAndNothingElse(string template, string expected) =>
        Assert.Equal(expected, InstructionTemplate.Render(template, Values));

    [Fact]
    public void Render_NothingGiven_LeavesThePlacesEmpty() =>
        Assert.Equal("[][][]", InstructionTemplate.Render("[{{user.id}}][{{user.name}}][{{metadata.a}}]", default));

    [Fact]
    public void Render_AnyValue_IsNeverEvaluatedAgain()
    {
        var pieces = Gen.OneOf(
            "{", "}", "{{", "}}", "user.id", "{{user.id}}", "{{user.name}}", "metadata.a", "x", "{{metadata.a}}");
        var text = pieces.Array[0, 8].Select(string.Concat);
        Gen.Select(text, text, Gen.OneOf("{{user.id}}", "{{user.name}}", "{{metadata.a}}", " text ").Array[0, 6])
            .Sample((id, name, parts) =>
            {
                var metadata = JsonElement.Parse($$"""{"a":"{{JsonEncodedText.Encode(name + id)}}"}""");
                var expected = string.Concat(parts.Select(part => part switch
                {
                    "{{user.id}}" => id,
                    "{{user.name}}" => name,
                    "{{metadata.a}}" => name + id,
                    _ => part,
                }));
                return InstructionTemplate.Render(
                    string.Concat(parts), new TemplateValues(id, name, null, metadata)) == expected;
            });
    }

    [Fact]
    public void Render_OnlyBraces_StaysLinear()
    {
        var braces = new string('{', 32_000);
        Assert.Equal(braces, InstructionTemplate.Render(braces, Values));
    }
}
