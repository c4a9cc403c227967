using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using Reeve.Server.Storage;

namespace Reeve.Server.Receipts.Keys;

/// <summary>What a key is for.</summary>
internal static class KeyUses
{
    /// <summary>Ed25519: receipts, checkpoints of the audit, attestations.</summary>
    internal const string Sign = "sig";

    /// <summary>X25519: prompts are sealed to it.</summary>
    internal const string Encrypt = "enc";
}

/// <summary>
/// A pair of keys. The private one is kept nowhere: it derives from the master key and <c>Secret</c>, which a retired
/// key has no more.
/// </summary>
internal sealed record SigningKey(
    string Kid, string Use, byte[] PublicKey, byte[]? Secret, DateTimeOffset CreatedAt, DateTimeOffset? RetiredAt)
{
    private const int SecretLength = 32;

    internal bool IsActive => RetiredAt is null;

    /// <summary>A new pair.</summary>
    internal static SigningKey Make(MasterKey master, string use, DateTimeOffset at) =>
        Of(master, use, RandomNumberGenerator.GetBytes(SecretLength), at);

    /// <summary>The pair with which servers signed before keys were listed: it had no secret of its own.</summary>
    internal static SigningKey First(MasterKey master, DateTimeOffset at) => Of(master, KeyUses.Sign, [], at);

    /// <summary>The private key; the key must be active.</summary>
    internal byte[] PrivateKey(MasterKey master) => PrivateKey(master, Use, Secret!);

    /// <summary>True when the row is as the holder of the master key wrote it.</summary>
    internal bool IsGenuine(MasterKey master, ReadOnlySpan<byte> mac) =>
        CryptographicOperations.FixedTimeEquals(Mac(master), mac)
        && (!IsActive || Secret is not null
            && PublicKey.AsSpan().SequenceEqual(PublicOf(Use, PrivateKey(master))));

    internal byte[] Mac(MasterKey master) => HMACSHA256.HashData(master.Derive("signing-keys"), Encoding.UTF8.GetBytes(
        string.Create(CultureInfo.InvariantCulture,
            $"{Kid} {Use} {Convert.ToHexString(PublicKey)} {(Secret is null ? "-" : Convert.ToHexString(Secret))} "
            + $"{CreatedAt.ToUnixTimeMilliseconds()} {RetiredAt?.ToUnixTimeMilliseconds()}")));

    private static SigningKey Of(MasterKey master, string use, byte[] secret, DateTimeOffset at)
    {
        var publicKey = PublicOf(use, PrivateKey(master, use, secret));
        return new SigningKey(ReceiptVerifier.KeyIdOf(publicKey), use, publicKey, secret, at, null);
    }

    private static byte[] PrivateKey(MasterKey master, string use, byte[] secret)
    {
        var purpose = use == KeyUses.Sign ? "receipts" : "sealed-prompts";
        return master.Derive(secret.Length == 0 ? purpose : $"{purpose}/{Convert.ToHexStringLower(secret)}");
    }

    private static byte[] PublicOf(string use, byte[] privateKey)
    {
        using var key = Key.Import(
            use == KeyUses.Sign ? SignatureAlgorithm.Ed25519 : KeyAgreementAlgorithm.X25519, privateKey,
            KeyBlobFormat.RawPrivateKey);
        return key.PublicKey.Export(KeyBlobFormat.RawPublicKey);
    }
}
