using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Reeve.Server.Webhooks;

/// <summary>
/// Secrets of webhooks: made, sealed for the database, and used to sign as Standard Webhooks 1.0 says.
/// </summary>
/// <remarks>
/// Sealed = version 1 (1 byte), nonce (12), ciphertext, tag (16): AES-256-GCM under a key of its own purpose. The
/// associated data names purpose, account and webhook, so that no row's secret opens in another's place.
/// </remarks>
internal sealed class WebhookSecrets(byte[] key) : IDisposable
{
    private const string Prefix = "whsec_";
    private const int SecretBytes = 32;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private const byte Version = 1;

    private readonly AesGcm _aes = new(key, TagBytes);

    public void Dispose() => _aes.Dispose();

    internal static string Text(ReadOnlySpan<byte> secret) => Prefix + Convert.ToBase64String(secret);

    internal static byte[] Make() => RandomNumberGenerator.GetBytes(SecretBytes);

    internal byte[] Seal(ReadOnlySpan<byte> secret, string accountId, string webhookId)
    {
        var sealedSecret = new byte[1 + NonceBytes + secret.Length + TagBytes];
        sealedSecret[0] = Version;
        var nonce = sealedSecret.AsSpan(1, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        lock (_aes)
        {
            _aes.Encrypt(nonce, secret, sealedSecret.AsSpan(1 + NonceBytes, secret.Length),
                sealedSecret.AsSpan(1 + NonceBytes + secret.Length), Associated(accountId, webhookId));
        }

        return sealedSecret;
    }

    /// <exception cref="CryptographicException">It is not this webhook's, or was changed.</exception>
    internal byte[] Open(ReadOnlySpan<byte> sealedSecret, string accountId, string webhookId)
    {
        var length = sealedSecret.Length - 1 - NonceBytes - TagBytes;
        if (length <= 0 || sealedSecret[0] != Version)
        {
            throw new CryptographicException("This is no sealed secret.");
        }

        var secret = new byte[length];
        lock (_aes)
        {
            _aes.Decrypt(sealedSecret.Slice(1, NonceBytes), sealedSecret.Slice(1 + NonceBytes, length),
                sealedSecret[(1 + NonceBytes + length)..], secret, Associated(accountId, webhookId));
        }

        return secret;
    }

    /// <summary>The header <c>webhook-signature</c>: one signature for each secret that is good now.</summary>
    internal string Sign(Webhook webhook, string id, long timestamp, ReadOnlySpan<byte> body, DateTimeOffset now)
    {
        var header = Sign(webhook.Secret, webhook, id, timestamp, body);
        return webhook is { OldSecret: { } old, OldSecretUntil: { } until } && now < until
            ? $"{header} {Sign(old, webhook, id, timestamp, body)}"
            : header;
    }

    private string Sign(byte[] sealedSecret, Webhook webhook, string id, long timestamp, ReadOnlySpan<byte> body)
    {
        var secret = Open(sealedSecret, webhook.Tenant.AccountId, webhook.Id);
        return "v1," + Convert.ToBase64String(Signature(secret, id, timestamp, body));
    }

    /// <summary>HMAC-SHA-256 over <c>id.timestamp.body</c>.</summary>
    internal static byte[] Signature(byte[] secret, string id, long timestamp, ReadOnlySpan<byte> body)
    {
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, secret);
        hmac.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{timestamp}.")));
        hmac.AppendData(body);
        return hmac.GetHashAndReset();
    }

    private static byte[] Associated(string accountId, string webhookId) =>
        Encoding.ASCII.GetBytes($"webhook secret\0{accountId}\0{webhookId}\0{Version}");
}
