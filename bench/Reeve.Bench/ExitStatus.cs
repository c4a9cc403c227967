namespace Reeve.Bench;

internal static class ExitStatus
{
    internal const int Ok = 0;

    /// <summary>A server did not start, or answered wrongly: there is no result.</summary>
    internal const int Failed = 1;

    internal const int Usage = 2;

    /// <summary>The baseline moved during the run: the figures are printed, but they are not to be trusted.</summary>
    internal const int Rejected = 3;

    internal const int Stopped = 130;
}

/// <summary>There is no result; the message says why.</summary>
internal sealed class BenchException(string message, Exception? inner = null) : Exception(message, inner);
