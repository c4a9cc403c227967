using Reeve.Server.Receipts.Keys;

namespace Reeve.Server.Tests.Receipts.Keys;

/// <summary>Boxes of tweetnacl with BLAKE2b from blakejs, and of libsodium, to Bob's key of RFC 7748 (6.1).</summary>
public sealed class SealedPromptsTests : IDisposable
{
    private const string Question =
        "sealed:Vau9o9OlfYbuHpYmXsKC1Jtapg-Gt11lNv6IW-ecLGg8H2XSe5jY4x_uvN3Kee2r51pfKUCgQlP_bFUcuLTif02SY9GXbf06ZKtg"
        + "yPxUwXw5vUo";

    private readonly SealedPrompts _prompts = new(
        Convert.FromHexString("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
        Convert.FromHexString("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));

    [Theory]
    [InlineData("What does the privacy spec promise?", Question)]
    [InlineData("", "sealed:ov31_loh2ZKHANp4d1v4JNYh4IhH59u_6QhQD1G9plmWhzxNp8WCYS0J_vKRyxO1")]
    [InlineData("Grüße aus 東京 😀",
        "sealed:bTw-cHsQl1mZXeKnuN7VUWafjDxcLkBr19MrdsItEVlDxSCehnIHOcihDNrQi2kfb1OO232Ji7A3vWDVFsbCvTpBy4AwblM")]
    [InlineData("What does the privacy spec promise?",
        "sealed:iWKSOurGIofco5UIaXMTdXcGl-lG59kyBWGgfBOF40FFwf5i3QPxJJjba-HHSh9EZJ0Cf-aX-uGdkZYdSkxRPY4cdq_3J3RGmT4c"
        + "L4_nMF6uT4g")]
    public void Open_ABoxOfAnotherProgram_GivesItsText(string text, string box) =>
        Assert.Equal(text, _prompts.Open(box));

    [Theory]
    [InlineData("What does the privacy spec promise?")]
    [InlineData("sealed:")]
    [InlineData("sealed:AAAA")]
    [InlineData("sealed:*")]
    [InlineData("SEALED:ov31_loh2ZKHANp4d1v4JNYh4IhH59u_6QhQD1G9plmWhzxNp8WCYS0J_vKRyxO1")]
    [InlineData("sealed:53LuCu6oJSYRI8S22aUjp-EZpnErDbA0FKEe1FWw-lJEYdxRidfDw-ZSwP5TRz7bKBU")] // FF FE, no UTF-8.
    public void Open_WhatIsNoBox_GivesNothing(string text) => Assert.Null(_prompts.Open(text));

    [Fact]
    public void Open_AChangedBox_GivesNothing()
    {
        const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        Assert.NotNull(_prompts.Open(Question));
        for (var i = SealedPrompts.Prefix.Length; i < Question.Length - 1; i++)
        {
            var other = Alphabet[(Alphabet.IndexOf(Question[i], StringComparison.Ordinal) + 1) % 64];
            Assert.Null(_prompts.Open($"{Question[..i]}{other}{Question[(i + 1)..]}"));
        }

        Assert.Null(_prompts.Open(Question[..^2]));
        Assert.Null(_prompts.Open(Question + "AAAA"));
    }

    public void Dispose() => _prompts.Dispose();
}
