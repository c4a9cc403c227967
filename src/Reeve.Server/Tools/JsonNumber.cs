using System.Text.Json;

namespace Reeve.Server.Tools;

/// <summary>Arithmetic on JSON numbers: exact as decimals where they fit, else as doubles.</summary>
internal static class JsonNumber
{
    internal static int Compare(JsonElement left, JsonElement right) =>
        Exact(left) is { } one && Exact(right) is { } other
            ? one.CompareTo(other)
            : left.GetDouble().CompareTo(right.GetDouble());

    internal static bool IsInteger(JsonElement value) => Exact(value) is { } number
        ? number == decimal.Truncate(number)
        : value.GetDouble() is var approximate && Math.Floor(approximate) == approximate;

    internal static bool IsMultiple(JsonElement value, JsonElement of)
    {
        if (Exact(value) is { } number && Exact(of) is { } divisor)
        {
            return number % divisor == 0;
        }

        var quotient = value.GetDouble() / of.GetDouble();
        return double.IsFinite(quotient) && Math.Floor(quotient) == quotient;
    }

    /// <summary>Equal for equal numbers; exact, so that numbers nearer than a double can tell do not pile up.</summary>
    internal static int HashOf(JsonElement value) =>
        Exact(value) is { } number ? number.GetHashCode() : value.GetDouble().GetHashCode();

    // A decimal cannot hold what is very large, and holds as zero what is very small.
    private static decimal? Exact(JsonElement value) =>
        value.TryGetDecimal(out var number) && (number != 0 || value.GetDouble() == 0) ? number : null;
}
