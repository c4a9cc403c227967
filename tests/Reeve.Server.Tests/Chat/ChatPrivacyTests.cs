using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Text;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Chat;

/// <summary>The modes of <c>privacy</c>: attested, and sealed to the key of the server.</summary>
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

    [Theory]
    [InlineData("What is the plan?", "be brief|What is the plan?")]
    [InlineData("""[{"role":"user","content":"Only this."}]""", "Only this.")]
    [InlineData("[not JSON", "be brief|[not JSON")]
    public async Task Nitro_OpensTheBox_AndPutsItInThePlaceOfTheLastWords(string sealedText, string prompt)
    {
        await using var server = await StartAsync();
        var answer = await server.Client.PostAsync(Path, $$"""
            {"model":"mesh/house-1","privacy":{"mode":"nitro","encryptedPrompt":"{{Seal(server, sealedText)}}"},
             "messages":[{"role":"system","content":"be brief"},{"role":"user","content":"(sealed)"}]}
            """);
        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal(prompt, string.Join('|', Assert.Single(_model.Prompts).Select(static one => one.Text)));
        var run = await server.Client.GetAsync("/v1/runs");
        Assert.Equal("protected", run.Json.GetProperty("data")[0].GetProperty("privacy_class").GetString());
    }

    [Fact]
    public async Task Nitro_WithoutMessages_IsTheConversation()
    {
        await using var server = await StartAsync();
        var answer = await server.Client.PostAsync(Path, $$"""
            {"model":"mesh/house-1","privacy":{"mode":"nitro","encryptedPrompt":"{{Seal(server, "Hello.")}}"} }
            """);
        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal("Hello.", Assert.Single(Assert.Single(_model.Prompts)).Text);
        Assert.Equal((1, 0), server.Database.Read(static session => (
            session.Count("SELECT count(*) FROM runs WHERE typeof(input) = 'blob'"),
            session.Count("SELECT count(*) FROM run_events WHERE instr(CAST(payload AS TEXT), 'Hello.') > 0"))));
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
