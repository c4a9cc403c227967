using Reeve.Server.Storage;

namespace Reeve.Server.Receipts.Keys;

/// <summary>
/// The server's own keys as its data folder has them: the active pairs to work with, the retired ones to verify by.
/// </summary>
/// <remarks>
/// Rotating makes new pairs and takes the secrets of the old ones away, in one transaction: a crash leaves the old
/// pairs or the new ones. It needs the data folder for itself, for a running server has its keys in memory.
/// </remarks>
internal sealed class KeyRing : IDisposable
{
    private readonly IReadOnlyList<SigningKey> _keys;

    private KeyRing(MasterKey master, IReadOnlyList<SigningKey> keys)
    {
        _keys = keys;
        Signer = new ReceiptSigner(Active(KeyUses.Sign).PrivateKey(master));
        Prompts = new SealedPrompts(Active(KeyUses.Encrypt).PrivateKey(master), Active(KeyUses.Encrypt).PublicKey);
        Verifier = VerifierOf(keys);
    }

    internal ReceiptSigner Signer { get; }

    internal SealedPrompts Prompts { get; }

    /// <summary>Knows all keys that ever signed.</summary>
    internal ReceiptVerifier Verifier { get; }

    /// <summary>All of them, oldest first; what is secret of them is not for answers.</summary>
    internal IReadOnlyList<SigningKey> Keys => _keys;

    /// <summary>Sees to it that there are keys; the part of a start that writes.</summary>
    internal static void Prepare(DbSession session, MasterKey master, DateTimeOffset at)
    {
        if (SigningKeyStore.List(session).Count > 0)
        {
            return;
        }

        var hasSigned = session.Exists("SELECT 1 FROM receipts LIMIT 1");
        foreach (var key in (SigningKey[])[
            hasSigned ? SigningKey.First(master, at) : SigningKey.Make(master, KeyUses.Sign, at),
            SigningKey.Make(master, KeyUses.Encrypt, at)])
        {
            SigningKeyStore.Insert(session, key, key.Mac(master));
        }
    }

    /// <exception cref="StartException">The keys are not as this server left them.</exception>
    internal static KeyRing Open(DbSession session, MasterKey master)
    {
        var (keys, changed) = Read(session, master);
        return changed.Count == 0 && IsComplete(keys)
            ? new KeyRing(master, keys)
            : throw new StartException("The server's signing keys in the database were changed; `reeve verify` says "
                + "more. Go back to the newest backup that verifies.");
    }

    /// <summary>The keys whose rows are genuine, and the ids of those whose rows are not.</summary>
    internal static (IReadOnlyList<SigningKey> Genuine, IReadOnlyList<string> Changed) Read(
        DbSession session, MasterKey master)
    {
        if (!SigningKeyStore.IsThere(session))
        {
            return ([SigningKey.First(master, DateTimeOffset.UnixEpoch)], []);
        }

        var rows = SigningKeyStore.List(session);
        return ([.. rows.Where(row => row.Key.IsGenuine(master, row.Mac)).Select(static row => row.Key)],
            [.. rows.Where(row => !row.Key.IsGenuine(master, row.Mac)).Select(static row => row.Key.Kid)]);
    }

    /// <summary>False before the first start of a server of this version is through.</summary>
    internal static bool IsNeeded(DbSession session) => SigningKeyStore.IsThere(session)
        && session.Exists("SELECT 1 FROM audit_entries LIMIT 1");

    /// <summary>One active pair of each kind.</summary>
    internal static bool IsComplete(IReadOnlyList<SigningKey> keys) =>
        keys.Count(static key => key is { IsActive: true, Use: KeyUses.Sign }) == 1
        && keys.Count(static key => key is { IsActive: true, Use: KeyUses.Encrypt }) == 1;

    internal static ReceiptVerifier VerifierOf(IEnumerable<SigningKey> keys) => new(
        [.. keys.Where(static key => key.Use == KeyUses.Sign).Select(static key => key.PublicKey)]);

    /// <summary>Retires the active pairs and makes new ones; part of a transaction of the caller's.</summary>
    internal static (SigningKey Sign, SigningKey Encrypt) Rotate(
        DbSession session, MasterKey master, KeyRing old, DateTimeOffset at)
    {
        foreach (var key in old._keys.Where(static key => key.IsActive))
        {
            var retired = key with { Secret = null, RetiredAt = at };
            SigningKeyStore.Retire(session, retired, retired.Mac(master));
        }

        var sign = SigningKey.Make(master, KeyUses.Sign, at);
        var encrypt = SigningKey.Make(master, KeyUses.Encrypt, at);
        SigningKeyStore.Insert(session, sign, sign.Mac(master));
        SigningKeyStore.Insert(session, encrypt, encrypt.Mac(master));
        return (sign, encrypt);
    }

    public void Dispose()
    {
        Signer.Dispose();
        Prompts.Dispose();
    }

    private SigningKey Active(string use) => _keys.Single(key => key.IsActive && key.Use == use);
}
