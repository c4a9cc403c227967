namespace Reeve.Server.Privacy;

/// <summary>What the operator says of a provider. In-process counts as operator-run, that as zero-retention.</summary>
internal sealed record PrivacyMarks(bool ZeroRetention, bool OperatorRun, bool InProcess)
{
    internal static readonly PrivacyMarks Nothing = new(false, false, false);
    internal static readonly PrivacyMarks Process = new(true, true, true);
}

/// <summary>The one rule of where the content of a class may go; it fails closed.</summary>
internal static class PrivacyGate
{
    internal static bool Permits(PrivacyClass privacyClass, PrivacyMarks marks) => privacyClass switch
    {
        PrivacyClass.Standard => true,

        PrivacyClass.Protected => marks.ZeroRetention || marks.OperatorRun || marks.InProcess,
        PrivacyClass.PrivateGateway => marks.OperatorRun || marks.InProcess,
        PrivacyClass.Confidential => marks.InProcess,
        _ => false,
    };

    /// <summary>
    /// True where personal data must be masked in what is sent: from <c>protected</c> on, wherever content leaves what
    /// the operator himself runs.
    /// </summary>
    internal static bool MustMask(PrivacyClass privacyClass, PrivacyMarks marks) =>
        privacyClass >= PrivacyClass.Protected && !marks.OperatorRun && !marks.InProcess;
}
