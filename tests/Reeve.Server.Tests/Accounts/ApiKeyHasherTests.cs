using Reeve.Server.Accounts;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Accounts;

public sealed class ApiKeyHasherTests
{
    /// <summary>Whoever changes what is stored of a key locks every caller out.</summary>
    [Fact]
    public void Hash_OfAKnownKey_IsTheSameForEver()
    {
        var hasher = new ApiKeyHasher(MasterKey.Parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="u8));

        // By an independent HMAC-SHA-256 under an independent HKDF-SHA-256 with the info "reeve/api-key-pepper".
        Assert.Equal("29a0412fa25cdd7c767cb3c6a7b1d76b54d99b8cffe4622648051b51492427f6",
            Convert.ToHexStringLower(hasher.Hash(TestServer.AdminKey).ToArray()));
    }
}
