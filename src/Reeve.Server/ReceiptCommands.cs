using System.Buffers;
using System.Buffers.Text;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Reeve.Server.Accounts;
using Reeve.Server.Audit;
using Reeve.Server.Http;
using Reeve.Server.Receipts;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server;

/// <summary>What the command line does with receipts and the keys that sign them.</summary>
internal static class ReceiptCommands
{
    private const int PublicKeyLength = 32;

    /// <summary>
    /// Checks a receipt by a saved list of keys, or by one key, without a server or its data; 0: it is genuine, 1: not.
    /// </summary>
    internal static async Task<int> VerifyAsync(string file, string? keysFile, string? key, TextWriter output)
    {
        if (keysFile is null == key is null)
        {
            throw new StartException("Give the keys with --keys FILE, or one key with --key TEXT.");
        }

        var verifier = new ReceiptVerifier(
            keysFile is null ? [Decode(key!)] : ReadKeys(await ReadAsync(keysFile), keysFile));
        var receipt = await ReadAsync(file);
        var verdict = verifier.Verify(receipt);
        if (!verdict.IsValid)
        {
            await output.WriteLineAsync($"not valid: {verdict.Reason}"
                + (verdict.KeyId is null ? "" : $", of key {verdict.KeyId}"));
            return 1;
        }

        using var document = RequestBody.Parse(receipt);
        var shown = document.RootElement;
        await output.WriteLineAsync($"valid: {shown.Text("id")} of {shown.Text("run_id")}, of key {verdict.KeyId}");
        return 0;
    }

    /// <summary>
    /// Gives a data folder new keys and takes the private ones of the old away. Its server must not run, since it has
    /// them in memory.
    /// </summary>
    internal static async Task<int> RotateKeysAsync(string dataFolder, TextWriter output, TimeProvider time)
    {
        DataCommands.FindDatabase(dataFolder);
        using var folder = DataFolder.Open(dataFolder);
        var master = MasterKey.Load(folder.FolderPath, StartSecrets.FromEnvironment().MasterKey, dataExists: true);
        try
        {
            using var database = new Database(folder.DatabasePath, NullLogger<Database>.Instance, time,
                Failpoints.Parse(Environment.GetEnvironmentVariable(Failpoints.Variable)));
            var at = DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());
            database.Prepare(master, new IdGenerator(time), time,
                [session => KeyRing.Prepare(session, master, at), session => AuditStart.Prepare(session, at)]);
            database.Start();
            var (sign, encrypt) = await database.WriteAsync(session => Rotate(session, master, at));
            await output.WriteLineAsync($"New keys: {sign.Kid} signs, prompts are sealed to {encrypt.Kid}.");
            await output.WriteLineAsync("The old ones stay listed as retired; nobody can sign with them again.");
            return 0;
        }
        catch (SqliteException error)
        {
            throw new StartException($"The database {folder.DatabasePath} cannot be used: {error.Message}", error);
        }
    }

    private static (SigningKey Sign, SigningKey Encrypt) Rotate(DbSession session, MasterKey master, DateTimeOffset at)
    {
        using var old = KeyRing.Open(session, master);
        var made = KeyRing.Rotate(session, master, old, at);
        if (AccountStore.FindOperator(session) is { } account)
        {
            AuditLog.Append(session, new TenantContext(account.Id), AuditTypes.SigningKeyRotated, made.Sign.Kid, at,
                AuditLog.Detail([("sealed_to", made.Encrypt.Kid), .. old.Keys.Where(static key => key.IsActive)
                    .Select(static key => ($"retired_{key.Use}", key.Kid))]));
        }

        return made;
    }

    private static async Task<byte[]> ReadAsync(string file)
    {
        try
        {
            return await File.ReadAllBytesAsync(file);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new StartException($"{file} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The keys that sign, of a list as <c>/.well-known/reeve-keys.json</c> answers it.</summary>
    private static byte[][] ReadKeys(byte[] text, string file)
    {
        try
        {
            using var document = RequestBody.Parse(text);
            return [.. document.RootElement.GetProperty("keys").EnumerateArray()
                .Where(static key => key.Text("crv") == "Ed25519")
                .Select(static key => Decode(key.Text("x") ?? ""))];
        }
        catch (Exception error) when (
            error is ApiException or KeyNotFoundException or InvalidOperationException or StartException)
        {
            throw new StartException($"{file} is no list of keys as /.well-known/reeve-keys.json answers it.", error);
        }
    }

    private static byte[] Decode(string text)
    {
        var key = new byte[PublicKeyLength];
        return text.Length == Base64Url.GetEncodedLength(PublicKeyLength)
            && Base64Url.DecodeFromChars(text, key, out _, out var length) == OperationStatus.Done
            && length == PublicKeyLength
            ? key
            : throw new StartException("A public key is 43 characters of base64url, 32 bytes.");
    }
}
