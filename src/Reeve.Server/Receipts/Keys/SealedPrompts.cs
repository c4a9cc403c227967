using System.Buffers;
using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Unicode;

namespace Reeve.Server.Receipts.Keys;

/// <summary>
/// Opens prompts that were sealed to the server's X25519 key: <c>sealed:</c> and the base64url of a sealed box of
/// libsodium (<c>crypto_box_seal</c>). Only this server can read one; it does not tell who sealed it.
/// </summary>
internal sealed class SealedPrompts : IDisposable
{
    internal const string Prefix = "sealed:";

    /// <summary>The sender's public key of that one box, and the code of its content.</summary>
    internal const int OverheadLength = 32 + 16;

    private readonly byte[] _privateKey;
    private readonly byte[] _publicKey;

    internal SealedPrompts(byte[] privateKey, byte[] publicKey)
    {
        (_privateKey, _publicKey) = (privateKey, publicKey);
        if (NativeMethods.Initialise() < 0)
        {
            throw new StartException("libsodium could not be initialised.");
        }
    }

    internal static bool IsSealed(string text) => text.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>
    /// The text that was sealed; null when it is none of ours: another key's, changed, or not UTF-8 inside.
    /// </summary>
    internal string? Open(string sealedText)
    {
        if (!IsSealed(sealedText))
        {
            return null;
        }

        var encoded = sealedText.AsSpan(Prefix.Length);
        var box = new byte[Base64Url.GetMaxDecodedLength(encoded.Length)];
        if (Base64Url.DecodeFromChars(encoded, box, out _, out var length) != OperationStatus.Done
            || length < OverheadLength)
        {
            return null;
        }

        var text = new byte[length - OverheadLength];
        var isOpen = NativeMethods.OpenSealedBox(text, box, (ulong)length, _publicKey, _privateKey) == 0;
        return isOpen && Utf8.IsValid(text) ? Encoding.UTF8.GetString(text) : null;
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_privateKey);

    /// <summary>NSec has no sealed boxes; the library that it brings for every platform has.</summary>
    private static class NativeMethods
    {
        [DllImport("libsodium", EntryPoint = "sodium_init", CallingConvention = CallingConvention.Cdecl)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        internal static extern int Initialise();

        [DllImport("libsodium", EntryPoint = "crypto_box_seal_open", CallingConvention = CallingConvention.Cdecl)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        internal static extern int OpenSealedBox(
            byte[] text, byte[] box, ulong boxLength, byte[] publicKey, byte[] privateKey);
    }
}
