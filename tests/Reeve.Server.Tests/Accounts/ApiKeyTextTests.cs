using CsCheck;
using Reeve.Server.Accounts;

namespace Reeve.Server.Tests.Accounts;

public sealed class ApiKeyTextTests
{
    private static readonly Gen<string> Keys =
        Gen.Int[0, ApiKeyKinds.All.Length - 1].Select(static kind => ApiKeyText.Make(ApiKeyKinds.All[kind]));

    [Theory]
    [InlineData("mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52I", "mesh_live")]
    [InlineData("afk_widget_rUHBXvbdjk5KI7zalqluiQm5jfCFBK3e2Aabp8", "afk_widget")]
    [InlineData("mesh_test_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52I", null)]
    [InlineData("mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52", null)]
    [InlineData("mesh_live_", null)]
    [InlineData("mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e0toOIz", null)] // from here on the checksum is right
    [InlineData("mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e502rgJRQ", null)]
    [InlineData("mesh_live-zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52Aa8tt", null)]
    [InlineData("mosh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e51iLTh7", null)]
    [InlineData("mesh_live_-R8HzjAck3ZdvdNWA0CvUxPWsyYmk2e538KGPy", null)]
    [InlineData("mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e-1v5oIO", null)]
    [InlineData("", null)]
    public void KindOf_DocumentedVectors_IsAsDocumented(string text, string? kind) =>
        Assert.Equal(kind, ApiKeyText.KindOf(text));

    [Fact]
    public void KindOf_MadeKeys_IsTheirKind() => Keys.Sample(static text =>
    {
        Assert.StartsWith(ApiKeyText.KindOf(text) + "_", text, StringComparison.Ordinal);
        Assert.True(text.Length <= ApiKeyText.LengthMax);
    });

    [Fact]
    public void KindOf_OneCharacterChanged_IsNull() => Gen.Select(Keys, Gen.Int[0, 47], Gen.Char.AlphaNumeric).Sample(
        static (text, at, character) =>
        {
            var changed = text.ToCharArray();
            changed[at % text.Length] = character;
            Assert.True(ApiKeyText.KindOf(changed) is null || changed.AsSpan().SequenceEqual(text));
        });
}
