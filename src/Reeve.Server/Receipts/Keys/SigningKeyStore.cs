using Reeve.Server.Storage;

namespace Reeve.Server.Receipts.Keys;

/// <summary>All SQL of the server's own keys.</summary>
internal static class SigningKeyStore
{
    private const long TimeMillisecondsMax = 253_402_300_799_999; // The end of the year 9999.

    /// <summary>False in a data folder that no server of this version has opened yet.</summary>
    internal static bool IsThere(DbSession session) =>
        session.Exists("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'signing_keys'");

    /// <summary>Oldest first, with the code that tells whether the row is genuine.</summary>
    internal static List<(SigningKey Key, byte[] Mac)> List(DbSession session) => session.List(
        "SELECT kid, use, public_key, secret, created_at, retired_at, mac FROM signing_keys "
        + "ORDER BY created_at, use DESC, kid",
        static row => (
            new SigningKey(row.StringOrNull(0) ?? "", row.StringOrNull(1) ?? "", row.BytesOrNull(2) ?? [],
                row.BytesOrNull(3), Time(row.LongOrNull(4) ?? 0),
                row.LongOrNull(5) is { } retiredAt ? Time(retiredAt) : null),
            row.BytesOrNull(6) ?? []));

    // A damaged row may say any number; that it is not genuine, its mac tells.
    private static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(
        milliseconds is >= 0 and <= TimeMillisecondsMax ? milliseconds : 0);

    internal static void Insert(DbSession session, SigningKey key, byte[] mac) => session.Execute(
        "INSERT INTO signing_keys (kid, use, public_key, secret, created_at, mac) VALUES ($1, $2, $3, $4, $5, $6)",
        key.Kid, key.Use, key.PublicKey, key.Secret, key.CreatedAt.ToUnixTimeMilliseconds(), mac);

    /// <summary>Takes the secret away for good; SQLite overwrites it (<c>secure_delete</c>).</summary>
    internal static void Retire(DbSession session, SigningKey retired, byte[] mac) => session.Execute(
        "UPDATE signing_keys SET secret = NULL, retired_at = $2, mac = $3 WHERE kid = $1",
        retired.Kid, retired.RetiredAt?.ToUnixTimeMilliseconds(), mac);
}
