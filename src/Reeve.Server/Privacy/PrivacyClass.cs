namespace Reeve.Server.Privacy;

/// <summary>
/// Where content may go, from loose to strict (wire-mesh 6.4). The strictest of request, agent, documents and earlier
/// runs of the conversation holds; nothing lowers it.
/// </summary>
internal enum PrivacyClass
{
    Standard,
    Protected,
    PrivateGateway,
    Confidential,
}

internal static class PrivacyClasses
{
    /// <summary>The words of the wire, in the order of <see cref="PrivacyClass"/>.</summary>
    internal static readonly string[] Words = ["standard", "protected", "private_gateway", "confidential"];

    internal static string Word(this PrivacyClass privacyClass) => Words[(int)privacyClass];

    internal static PrivacyClass Parse(string word) => (PrivacyClass)Array.IndexOf(Words, word) switch
    {
        < 0 => throw new ArgumentOutOfRangeException(nameof(word), word, "is no privacy class"),
        var found => found,
    };

    internal static PrivacyClass Stricter(PrivacyClass left, PrivacyClass right) => left > right ? left : right;
}
