using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Reeve.Server.Tests.Matrix;

/// <summary>
/// The names that the server's source could read from a request. Which endpoint really takes which is found by asking
/// each of them, so that a name that somebody adds later cannot stay outside of the matrix.
/// </summary>
internal static partial class ApiNames
{
    private static readonly string[] Sources =
    [
        .. Directory.EnumerateFiles(Folder(), "*.cs", SearchOption.AllDirectories)
            .Order(StringComparer.Ordinal).Select(File.ReadAllText),
    ];

    /// <summary>Names of query parameters.</summary>
    internal static IReadOnlyList<string> Query { get; } = [.. Sources
        .SelectMany(text => QueryCall().Matches(text)).SelectMany(call => Word().Matches(call.Value))
        .Select(match => match.Groups[1].Value).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    /// <summary>Words that could be members of a body.</summary>
    internal static IReadOnlyList<string> Members { get; } = [.. Sources
        .SelectMany(text => Word().Matches(text)).Select(match => match.Groups[1].Value)
        .Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    /// <summary>Headers of a request that the source reads by name.</summary>
    internal static IReadOnlyList<string> Headers { get; } = [.. Sources
        .SelectMany(text => HeaderRead().Matches(text))
        .Select(match => match.Groups[1].Value + match.Groups[2].Value + match.Groups[3].Value)
        .Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    private static string Folder([CallerFilePath] string file = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, "../../../src/Reeve.Server"));

    [GeneratedRegex(@"new RequestQuery\([^;]*;")]
    private static partial Regex QueryCall();

    [GeneratedRegex("\"([a-z][A-Za-z_]{1,40})\"")]
    private static partial Regex Word();

    [GeneratedRegex(@"Request\.Headers(?:\.TryGetValue\(""([\w-]+)""|\[""?([\w-]+)""?\]|\.(?!TryGetValue)(\w+))")]
    private static partial Regex HeaderRead();
}
