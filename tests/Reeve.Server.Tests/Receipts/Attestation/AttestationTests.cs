using System.Text.Json;
using Reeve.Server.Receipts.Attestation;
using Reeve.Server.Receipts.Keys;

namespace Reeve.Server.Tests.Receipts.Attestation;

public sealed class AttestationTests
{
    private const string Path = "/v1/attestation/verify";

    [Fact]
    public async Task Issue_WithANonce_StatesTheProgramForAnHour()
    {
        await using var server = await TestServer.StartAsync();
        var answer = await server.Client.GetAsync("/v1/attestation?nonce=n%C3%A9%22%F0%9F%98%80");

        Assert.Equal(200, answer.Status);
        var document = answer.Json;
        Assert.Equal(
            [
                "level", "runtime_measurement", "expected_measurement", "build", "release_key_id", "anchors", "nonce",
                "issued_at", "expires_at", "key_id", "signature",
            ], document.EnumerateObject().Select(static member => member.Name));
        Assert.Equal("software", document.GetProperty("level").GetString());
        Assert.Equal(Measurement.Of(AppContext.BaseDirectory).Runtime,
            document.GetProperty("runtime_measurement").GetString());
        Assert.Equal(ServerVersion.Number, document.GetProperty("build").GetProperty("version").GetString());
        Assert.Equal("né\"😀", document.GetProperty("nonce").GetString());
        Assert.Equal("2026-11-20T09:15:03.530Z", document.GetProperty("issued_at").GetString());
        Assert.Equal("2026-11-20T10:15:03.530Z", document.GetProperty("expires_at").GetString());
        Assert.Equal(document.GetProperty("key_id").GetString(), document.GetProperty("release_key_id").GetString());
        Assert.Null(server.Service<KeyRing>().Verifier.VerifySignature(document).Reason);
        Assert.Equal(JsonValueKind.Null,
            (await server.Client.GetAsync("/v1/attestation")).Json.GetProperty("nonce").ValueKind);
    }

    [Fact]
    public async Task Verify_ADocument_TellsWhatOfItHolds()
    {
        await using var server = await TestServer.StartAsync();
        var document = (await server.Client.GetAsync("/v1/attestation?nonce=1")).Text;
        await ExpectAsync(document, true, true, true, null);
        await ExpectAsync($$"""{"document":{{document}}}""", true, true, true, null);
        await ExpectAsync(document.Replace("\"nonce\":\"1\"", "\"nonce\":\"2\"", StringComparison.Ordinal),
            false, true, true, "bad_signature");
        await ExpectAsync(document.Replace("expected_measurement\":\"sha256:", "expected_measurement\":\"sha256:0",
            StringComparison.Ordinal), false, false, true, "bad_signature");
        await ExpectAsync("{}", false, false, false, "malformed");
        server.Time.Advance(TimeSpan.FromHours(1));
        await ExpectAsync(document, true, true, false, "expired");

        async Task ExpectAsync(string body, bool signature, bool measurement, bool fresh, string? reason)
        {
            var answer = await server.Client.PostAsync(Path, body);
            var checks = answer.Json.GetProperty("checks");
            Assert.Equal((200, reason is null, signature, measurement, fresh, reason), (answer.Status,
                answer.Json.GetProperty("valid").GetBoolean(), checks.GetProperty("signature").GetBoolean(),
                checks.GetProperty("measurement").GetBoolean(), checks.GetProperty("fresh").GetBoolean(),
                answer.Json.GetProperty("reason").GetString()));
        }
    }

    [Theory]
    [InlineData("/v1/attestation?nonce=")]
    [InlineData("/v1/attestation?other=1")]
    public async Task Issue_ABadQuery_IsRefused(string path)
    {
        await using var server = await TestServer.StartAsync();
        Assert.Equal(400, (await server.Client.GetAsync(path)).Status);
        Assert.Equal(200, (await server.Client.GetAsync($"/v1/attestation?nonce={new string('n', 128)}")).Status);
        Assert.Equal(400, (await server.Client.GetAsync($"/v1/attestation?nonce={new string('n', 129)}")).Status);
    }

    [Fact]
    public void Measurement_OfAFolder_IsWhatSha256SumSays()
    {
        var folder = TestServer.NewFolder();
        try
        {
            Directory.CreateDirectory(System.IO.Path.Combine(folder, "native"));
            File.WriteAllText(System.IO.Path.Combine(folder, "b.dll"), "b");
            File.WriteAllText(System.IO.Path.Combine(folder, "native/a.so"), "a");
            File.WriteAllText(System.IO.Path.Combine(folder, "reeve.json"), "{}");

            // The SHA-256 of "3e23…  b.dll\nca97…  native/a.so\n".
            const string B = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d";
            const string A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
            var expected = "sha256:" + Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(
                System.Text.Encoding.UTF8.GetBytes($"{B}  b.dll\n{A}  native/a.so\n")));
            var alone = Measurement.Of(folder);
            Assert.Equal((expected, expected, null), (alone.Runtime, alone.Expected, alone.BuildTime));

            File.WriteAllText(System.IO.Path.Combine(folder, Measurement.ManifestName),
                $"# built at 2026-11-01T00:00:00.000Z\n{A}  native/a.so\n{B.ToUpperInvariant()}  b.dll\n");
            var built = Measurement.Of(folder);
            Assert.Equal((expected, expected, "2026-11-01T00:00:00.000Z"),
                (built.Runtime, built.Expected, built.BuildTime));

            File.WriteAllText(System.IO.Path.Combine(folder, "b.dll"), "c");
            var changed = Measurement.Of(folder);
            Assert.Equal(expected, changed.Expected);
            Assert.NotEqual(expected, changed.Runtime);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
