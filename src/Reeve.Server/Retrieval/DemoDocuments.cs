using System.Reflection;

namespace Reeve.Server.Retrieval;

/// <summary>The documents of the demo agent: Reeve explained, in files of this assembly.</summary>
internal static class DemoDocuments
{
    private const string Prefix = "Reeve.Server.Retrieval.Demo.";

    /// <summary>Read anew at each call: they are needed once in the life of a server.</summary>
    internal static IReadOnlyList<NewDocument> Read()
    {
        var assembly = Assembly.GetExecutingAssembly();
        return [.. assembly.GetManifestResourceNames()
            .Where(static name => name.StartsWith(Prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)
            .Select(name => new NewDocument { Name = name[Prefix.Length..], Bytes = Bytes(assembly, name) })];
    }

    private static byte[] Bytes(Assembly assembly, string name)
    {
        using var stream = assembly.GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
