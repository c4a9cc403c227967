using System.Reflection;

namespace Reeve.Server;

/// <summary>The version of this build.</summary>
internal static class ServerVersion
{
    private static readonly string[] Parts = Assembly.GetExecutingAssembly()
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+');

    internal static string Number => Parts[0];

    /// <summary>The commit; null when the build did not know it.</summary>
    internal static string? Commit => Parts.Length > 1 ? Parts[1] : null;
}
