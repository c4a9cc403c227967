using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Reeve.Server.Storage;

namespace Reeve.Server.Webhooks;

/// <summary>
/// Secrets of webhooks: made, sealed for the database, and used to sign as Standard Webhooks 1.0 says.
/// </summary>
/// <remarks>
/// Sealed = version 1 (1 byte) and <see cref="SealedBytes"/> under a key of its own purpose. The name has purpose,
/// account and webhook, so that no row's secret opens in another's place.
/// </remarks>
internal sealed class WebhookSecrets(byte[] key)
{
    private const string Prefix = "whsec_";
    private const int SecretBytes = 32;
    private const byte Version = 1;

    /// <summary>Old secrets that sign too, after as many rotations in a day.</summary>
    private const int OldMax = 4;

    internal static string Text(ReadOnlySpan<byte> secret) => Prefix + Convert.ToBase64String(secret);

    internal static byte[] Make() => RandomNumberGenerator.GetBytes(SecretBytes);

    internal byte[] Seal(ReadOnlySpan<byte> secret, string accountId, string webhookId) =>
        [Version, .. SealedBytes.Seal(key, Name(accountId, webhookId), secret)];

    /// <exception cref="CryptographicException">It is not this webhook's, or was changed.</exception>
    internal byte[] Open(ReadOnlySpan<byte> sealedSecret, string accountId, string webhookId) =>
        !sealedSecret.IsEmpty && sealedSecret[0] == Version
            ? SealedBytes.Open(key, Name(accountId, webhookId), sealedSecret[1..])
            : throw new CryptographicException("This is no sealed secret.");

    /// <summary>
    /// The sealed secrets that sign beside the next one, newest first, one after the other. Whoever rotates again, for
    /// an answer was lost say, would otherwise cut off the only secret that the receiver has.
    /// </summary>
    internal static byte[] Older(Webhook webhook, DateTimeOffset now)
    {
        var older = webhook is { OldSecret: { } old, OldSecretUntil: { } until } && now < until ? old : [];
        return [.. webhook.Secret, .. older.AsSpan(0, Math.Min(older.Length, (OldMax - 1) * webhook.Secret.Length))];
    }

    /// <summary>The header <c>webhook-signature</c>: one signature for each secret that is good now.</summary>
    internal string Sign(Webhook webhook, string id, long timestamp, ReadOnlySpan<byte> body, DateTimeOffset now)
    {
        var header = Sign(webhook.Secret, webhook, id, timestamp, body);
        if (webhook is { OldSecret: { } old, OldSecretUntil: { } until } && now < until)
        {
            foreach (var one in old.Chunk(webhook.Secret.Length)) // All secrets are as long, and so are their seals.
            {
                header = $"{header} {Sign(one, webhook, id, timestamp, body)}";
            }
        }

        return header;
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

    private static string Name(string accountId, string webhookId) =>
        $"webhook secret\0{accountId}\0{webhookId}\0{Version}";
}
