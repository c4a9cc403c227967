using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

/// <summary>What is stored of a key: HMAC-SHA-256 under a pepper, so that a stolen database holds no key.</summary>
internal sealed class ApiKeyHasher(MasterKey master)
{
    private readonly byte[] _pepper = master.Derive("api-key-pepper");

    internal ApiKeyHash Hash(ReadOnlySpan<char> key)
    {
        Span<byte> text = stackalloc byte[ApiKeyText.LengthMax];
        var length = Encoding.ASCII.GetBytes(key, text);
        var hash = default(ApiKeyHash);
        HMACSHA256.HashData(_pepper, text[..length], MemoryMarshal.AsBytes(new Span<ApiKeyHash>(ref hash)));
        return hash;
    }
}

/// <summary>The 32 bytes of a key's hash, as a value that can be looked up without an allocation.</summary>
internal readonly record struct ApiKeyHash(ulong First, ulong Second, ulong Third, ulong Fourth)
{
    internal byte[] ToArray()
    {
        var copy = this;
        return MemoryMarshal.AsBytes(new Span<ApiKeyHash>(ref copy)).ToArray();
    }
}
