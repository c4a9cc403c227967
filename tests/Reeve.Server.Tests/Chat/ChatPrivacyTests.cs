using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Text;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Chat;

/// <summary>The modes of <c>privacy</c>: attested, and sealed to the server's key, which is not taken yet.</summary>
public sealed class ChatPrivacyTests : IDisposable
{
    private const string Path = "/v1/chat/completions";
    private readonly ScriptedChatClient _model = new();

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task Mesh_Attests_BeforeTheFirstTextAndInTheBody()
    {
        await using var server = await StartAsync();
        const string Body = """
            "model":"mesh/house-1","messages":[{"role":"user","content":"Hi"}],"privacy":{"mode":"mesh"}
            """;

        using var stream = await server.OpenAsync("POST", Path, $$"""{"stream":true,{{Body}}}""");
        var text = await stream.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.StartsWith("event: privacy.attestation\ndata: {\"level\":\"software\",", text, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);

        var answer = await server.Client.PostAsync(Path, $$"""{{{Body}}}""");
        var document = answer.Json.GetProperty("privacy").GetProperty("attestation").GetRawText();
        var verdict = await server.Client.PostAsync("/v1/attestation/verify", document);
        Assert.True(verdict.Json.GetProperty("valid").GetBoolean(), verdict.Text);
    }

    [Fact]
    public async Task Nitro_IsRefusedWhileNothingIsEncryptedAtRest()
    {
        await using var server = await StartAsync();
        var answer = await server.Client.PostAsync(Path, $$"""
            {"model":"mesh/house-1","privacy":{"mode":"nitro","encryptedPrompt":"{{Seal(server, "Hello.")}}"},
             "messages":[{"role":"user","content":"(sealed)"}]}
            """);
        Assert.Equal((422, "no_permitted_route"), (answer.Status, answer.ErrorCode));
        Assert.Equal(0, _model.Calls);
    }

    [Theory]
    [InlineData("""{"mode":"nitro"}""")]
    [InlineData("""{"mode":"nitro","encryptedPrompt":"sealed:AAAA"}""")]
    [InlineData("""{"mode":"nitro","encryptedPrompt":"plain"}""")]
    [InlineData("""{"mode":"mesh","encryptedPrompt":"sealed:AAAA"}""")]
    [InlineData("""{"encryptedPrompt":"sealed:AAAA"}""")]
    public async Task Envelope_ThatCannotBeOpened_IsRefusedByName(string privacy)
    {
        await using var server = await StartAsync();
        var answer = await server.Client.PostAsync(
            Path, $$"""{"model":"mesh/house-1","messages":[{"role":"user","content":"Hi"}],"privacy":{{privacy}} }""");
        Assert.Equal((400, "privacy.encryptedPrompt"), (answer.Status, answer.ErrorParam));
        Assert.Equal(0, _model.Calls);
    }

    /// <summary>As a caller seals it, with the key that the server publishes.</summary>
    private static string Seal(TestServer server, string text)
    {
        var key = server.Service<KeyRing>().Keys.Single(static one => one.Use == KeyUses.Encrypt).PublicKey;
        var plain = Encoding.UTF8.GetBytes(text);
        var box = new byte[plain.Length + SealedPrompts.OverheadLength];
        Assert.Equal(0, crypto_box_seal(box, plain, (ulong)plain.Length, key));
        return SealedPrompts.Prefix + Base64Url.EncodeToString(box);
    }

#pragma warning disable SYSLIB1054, CA5392, IDE1006, SA1300 // The name is the library's; it is loaded already.
    [DllImport("libsodium")]
    private static extern int crypto_box_seal(byte[] box, byte[] message, ulong length, byte[] publicKey);
#pragma warning restore SYSLIB1054, CA5392, IDE1006, SA1300

    private Task<TestServer> StartAsync() => TestServer.StartAsync(configure: builder => _model.AddTo(
        builder, Model() with { Capabilities = new HashSet<string>(Capabilities.Words) },
        new PrivacyMarks(true, false, false)));
}
