using System.Security.Cryptography;
using System.Text;
using Reeve.Server.Storage.Backups;

namespace Reeve.Server.Storage;

/// <summary>
/// The 32 bytes from which every other key derives, one key a purpose. They come from <c>REEVE_MASTER_KEY</c>, or from
/// <c>master.key</c> in the data folder, which the first start makes.
/// </summary>
internal sealed class MasterKey
{
    internal const int Length = 32;
    internal const string FileName = "master.key";
    internal const string Variable = "REEVE_MASTER_KEY";
    private const string CheckSetting = "master_key_check";

    private readonly byte[] _key;

    private MasterKey(byte[] key) => _key = key;

    /// <summary>Reads the key; makes it when there is none and <paramref name="folder"/> holds no data yet.</summary>
    internal static MasterKey Load(string folder, string? fromEnvironment, bool dataExists)
    {
        if (!string.IsNullOrEmpty(fromEnvironment))
        {
            return new MasterKey(Decode(fromEnvironment, $"{Variable} must be 32 bytes in base64."));
        }

        var path = Path.Combine(folder, FileName);
        try
        {
            if (File.Exists(path))
            {
                return new MasterKey(Decode(File.ReadAllText(path).Trim(), $"{path} must hold 32 bytes in base64."));
            }

            return dataExists
                ? throw new StartException(
                    $"The data folder has data but no {FileName}; put the file back or set {Variable}.")
                : new MasterKey(Make(path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or BackupException)
        {
            throw new StartException($"{path} cannot be read or made: {error.Message}", error);
        }
    }

    /// <summary>The key that a file of a data folder holds.</summary>
    internal static MasterKey Parse(ReadOnlySpan<byte> file) =>
        new(Decode(Encoding.ASCII.GetString(file).Trim(), $"{FileName} must hold 32 bytes in base64."));

    /// <summary>The key for one purpose, by HKDF-SHA-256; the same purpose gives the same key for ever.</summary>
    internal byte[] Derive(string purpose) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _key, Length, salt: [], Encoding.UTF8.GetBytes("reeve/" + purpose));

    /// <summary>Whether the data was made with this key, or with none yet.</summary>
    internal bool Matches(DbSession session) => ReadCheck(session) is not { } known || known == Check;

    /// <summary>Refuses a data folder that was made with another key; remembers this one in a new folder.</summary>
    internal void Confirm(DbSession session)
    {
        if (ReadCheck(session) is null)
        {
            session.Execute("INSERT INTO settings (name, value) VALUES ($1, $2)", CheckSetting, Check);
        }
        else if (!Matches(session))
        {
            throw new StartException(
                $"The data folder was made with another master key; check {Variable} and {FileName}.");
        }
    }

    private string Check => Convert.ToBase64String(Derive("check"));

    private static string? ReadCheck(DbSession session) => session.Single(
        "SELECT value FROM settings WHERE name = $1", static row => row.GetString(0), CheckSetting);

    private static byte[] Decode(string text, string complaint)
    {
        var key = new byte[Length];
        return Convert.TryFromBase64String(text, key, out var length) && length == Length && text.Length == 44
            ? key
            : throw new StartException(complaint);
    }

    private static byte[] Make(string path)
    {
        var key = RandomNumberGenerator.GetBytes(Length);
        using var file = PartialFile.For(path); // Half a key would keep the next start from making a whole one.
        file.Stream.Write(Encoding.ASCII.GetBytes(Convert.ToBase64String(key) + "\n"));
        file.Complete();
        return key;
    }
}
