namespace Reeve.Server.Http;

/// <summary>Amounts on the wire: exact decimals without trailing zeros, made from integer micro-USD.</summary>
internal static class Money
{
    // Dividing by a one with 28 decimals drops trailing zeros, so that 5.0820 is written 5.082 and 6.000 is 6.
    private const decimal Normal = 1.0000000000000000000000000000m;

    internal static decimal Usd(long microUsd) => microUsd / 1_000_000m / Normal;

    internal static decimal Credits(long microUsd, long microUsdPerCredit) =>
        microUsd / (decimal)microUsdPerCredit / Normal;

    /// <summary>A header amount: six digits after the point, never an exponent.</summary>
    internal static string Header(long microUsd) =>
        (microUsd / 1_000_000m).ToString("0.000000", System.Globalization.CultureInfo.InvariantCulture);
}
