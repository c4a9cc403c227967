using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Receipts;

/// <summary><c>POST /v1/receipts/verify</c> (wire-mesh 6.2).</summary>
public sealed class VerifyReceiptTests
{
    private const string Path = "/v1/receipts/verify";

    [Fact]
    public async Task Verify_AReceipt_TellsGenuineFromOthersAndOnesOwnFromForeign()
    {
        await using var server = await TestServer.StartAsync();
        var run = (await server.Client.PostAsync("/v1/agents/runs", """{"agent":"demo","input":"Hi"}""")).Json;
        var receipt = (await server.Client.GetAsync($"/v1/receipts/{run.GetProperty("receipt_id").GetString()}")).Text;
        var other = await server.Client.PostAsync("/v1/accounts", """{"name":"Other"}""");
        using var foreign = server.ClientFor(other.Json.GetProperty("key").GetString());
        using var chat = server.ClientFor(await server.NewKeyAsync("\"scopes\":[\"chat\"]"));
        var kid = receipt.Split("\"key_id\":\"")[1][..16];
        (TestClient Client, string Body, string Answer)[] cases =
        [
            (server.Client, receipt, Verdict(kid, "true", "null", "true")),
            (chat, $$"""{"receipt":{{receipt}}}""", Verdict(kid, "true", "null", "true")),
            (foreign, receipt, Verdict(kid, "true", "null", "false")),
            (server.Client, receipt.Replace("\"tier\"", " \"t\\u0069er\" ", StringComparison.Ordinal),
                Verdict(kid, "true", "null", "true")),
            (server.Client, receipt.Replace("\"standard\"", "\"confidential\"", StringComparison.Ordinal),
                Verdict(kid, "false", "\"bad_signature\"", "false")),
            (server.Client, receipt.Replace("{\"id\"", "{\"receipt\":{},\"id\"", StringComparison.Ordinal),
                Verdict(kid, "false", "\"bad_signature\"", "false")),
            (server.Client, receipt.Replace(kid, "21fe31dfa154a261", StringComparison.Ordinal),
                Verdict("21fe31dfa154a261", "false", "\"unknown_key\"", "false")),
            (server.Client, receipt.Replace("\"signature\":\"", "\"signature\":\"=", StringComparison.Ordinal),
                Verdict(kid, "false", "\"malformed\"", "false")),
            (server.Client, "{}", Verdict(null, "false", "\"malformed\"", "false")),
            (server.Client, """{"receipt":{}}""", Verdict(null, "false", "\"malformed\"", "false")),
        ];
        foreach (var (client, body, answer) in cases)
        {
            var got = await client.PostAsync(Path, body);
            Assert.Equal((200, answer), (got.Status, got.Text));
        }
    }

    /// <summary>The same key signs attestations and checkpoints; they are no receipts.</summary>
    [Fact]
    public async Task Verify_AnotherSignedDocument_IsMalformed()
    {
        await using var server = await TestServer.StartAsync();
        var attestation = (await server.Client.GetAsync("/v1/attestation")).Text;

        var verdict = await server.Client.PostAsync(Path, attestation);

        Assert.Equal((200, "malformed"), (verdict.Status, verdict.Json.GetProperty("reason").GetString()));
    }

    [Theory]
    [InlineData("[]", null)]
    [InlineData("1", null)]
    [InlineData("{", null)]
    [InlineData("""{"receipt":1}""", "receipt")]
    [InlineData("""{"receipt":null}""", "receipt")]
    [InlineData("""{"receipt":[]}""", "receipt")]
    [InlineData("""{"receipt":{},"more":1}""", "more")]
    public async Task Verify_ABadBody_IsRefused(string body, string? param)
    {
        await using var server = await TestServer.StartAsync();
        var answer = await server.Client.PostAsync(Path, body);

        Assert.Equal((400, "invalid_request", param), (answer.Status, answer.ErrorCode, answer.ErrorParam));
    }

    [Fact]
    public async Task Verify_WithoutAKey_IsRefused()
    {
        await using var server = await TestServer.StartAsync();
        using var nobody = server.ClientFor(null);
        Assert.Equal(401, (await nobody.PostAsync(Path, "{}")).Status);
        await server.AssertSoundAsync();
    }

    private static string Verdict(string? kid, string valid, string reason, string known) =>
        $"{{\"valid\":{valid},\"key_id\":{(kid is null ? "null" : $"\"{kid}\"")},"
        + $"\"reason\":{reason},\"known\":{known}}}";
}
