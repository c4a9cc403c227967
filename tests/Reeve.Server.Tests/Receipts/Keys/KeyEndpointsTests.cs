using System.Buffers.Text;
using Reeve.Server.Receipts;

namespace Reeve.Server.Tests.Receipts.Keys;

public sealed class KeyEndpointsTests
{
    [Fact]
    public async Task Show_ToAnybody_ListsTheKeysThatSignAndSeal()
    {
        var folder = TestServer.NewFolder();
        try
        {
            string shown;
            await using (var server = await TestServer.StartAsync(folder: folder))
            {
                using var nobody = server.ClientFor(null);
                var answer = await nobody.GetAsync("/.well-known/reeve-keys.json");

                Assert.Equal((200, "public, max-age=300"), (answer.Status, answer.Header("Cache-Control")));
                var keys = answer.Json.GetProperty("keys").EnumerateArray().ToList();
                Assert.Equal([("sig", "Ed25519"), ("enc", "X25519")], keys.Select(static key =>
                    (key.GetProperty("use").GetString()!, key.GetProperty("crv").GetString()!)));
                Assert.All(keys, static key =>
                {
                    Assert.Equal("OKP", key.GetProperty("kty").GetString());
                    Assert.Equal("active", key.GetProperty("status").GetString());
                    Assert.Equal("2026-11-20T09:15:03.530Z", key.GetProperty("created_at").GetString());
                    Assert.Equal(key.GetProperty("kid").GetString(), ReceiptVerifier.KeyIdOf(
                        Base64Url.DecodeFromChars(key.GetProperty("x").GetString())));
                });
                Assert.Equal(400, (await nobody.GetAsync("/.well-known/reeve-keys.json?kid=1")).Status);
                shown = answer.Text;
            }

            await using var next = await TestServer.StartAsync(folder: folder);
            Assert.Equal(shown, (await next.Client.GetAsync("/.well-known/reeve-keys.json")).Text);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Start_OnKeysThatSomebodyElseWrote_IsRefused()
    {
        var folder = TestServer.NewFolder();
        try
        {
            await using (var server = await TestServer.StartAsync(folder: folder))
            {
                await server.Database.WriteAsync(static session =>
                    session.Execute("UPDATE signing_keys SET public_key = zeroblob(32) WHERE use = 'sig'"));
            }

            var error = await Assert.ThrowsAsync<StartException>(() => TestServer.StartAsync(folder: folder));
            Assert.StartsWith("The server's signing keys in the database were changed", error.Message,
                StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
