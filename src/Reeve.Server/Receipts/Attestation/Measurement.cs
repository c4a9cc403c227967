using System.Security.Cryptography;
using System.Text;

namespace Reeve.Server.Receipts.Attestation;

/// <summary>
/// The digest of the program: SHA-256 over one line a file, <c>hash, two spaces, name, line feed</c>, in the ordinal
/// order of the names; the files are all libraries in the folder of the program. <c>sha256sum</c> makes the same lines.
/// </summary>
/// <remarks>
/// A build writes those lines into <see cref="ManifestName"/> beside the program: what is expected. The server itself
/// reads the files, so a program that was changed to lie says what it likes; see docs/receipts.md.
/// </remarks>
internal sealed class Measurement
{
    internal const string ManifestName = "reeve.sha256";
    private const string BuiltAt = "# built at ";
    private const string Form = "sha256:";

    private static readonly string[] Libraries = [".dll", ".so", ".dylib"];

    private Measurement(string runtime, string? expected, string? builtAt) =>
        (Runtime, Expected, BuildTime) = (runtime, expected ?? runtime, builtAt);

    /// <summary>Of the files as they are now.</summary>
    internal string Runtime { get; }

    /// <summary>Of the files as they were built; that of the runtime when the build left no manifest.</summary>
    internal string Expected { get; }

    /// <summary>As the manifest has it; null without one.</summary>
    internal string? BuildTime { get; }

    internal static Measurement Of(string folder)
    {
        var lines = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Where(static path => Libraries.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase))
            .Select(path => (Name: Path.GetRelativePath(folder, path).Replace('\\', '/'), Hash: HashOf(path)));
        var manifest = Path.Combine(folder, ManifestName);
        if (!File.Exists(manifest))
        {
            return new Measurement(Digest(lines), null, null);
        }

        var written = File.ReadAllLines(manifest);
        var expected = written.Where(static line => line.Length > 66 && line[0] != '#')
            .Select(static line => (Name: line[66..].Replace('\\', '/'), Hash: line[..64].ToLowerInvariant()));
        return new Measurement(Digest(lines), Digest(expected), written.FirstOrDefault(
            static line => line.StartsWith(BuiltAt, StringComparison.Ordinal))?[BuiltAt.Length..]);
    }

    private static string Digest(IEnumerable<(string Name, string Hash)> files) =>
        Form + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Concat(
            files.OrderBy(static file => file.Name, StringComparer.Ordinal)
                .Select(static file => $"{file.Hash}  {file.Name}\n")))));

    private static string HashOf(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }
}
