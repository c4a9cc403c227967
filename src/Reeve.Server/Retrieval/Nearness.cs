namespace Reeve.Server.Retrieval;

/// <summary>
/// What two terms of a query gain in a chunk where they stand near each other: the smaller of their weights times a
/// closeness that is 1 for neighbours and falls with the square of the distance of their nearest occurrences.
/// </summary>
internal static class Nearness
{
    /// <summary>Terms further apart than so many places gain nothing.</summary>
    internal const int Window = 8;

    /// <summary>How much of a pair's weight neighbours gain.</summary>
    internal const double Share = 0.46;

    /// <summary>How fast closeness falls.</summary>
    private const double Fall = 0.3;

    internal static double Gain(double weight, double otherWeight, int distance) => distance > Window
        ? 0
        : Share * Math.Min(weight, otherWeight) * (1 + Fall) / (1 + (Fall * distance * distance));

    /// <summary>What a query gains where it stands as a whole, as one phrase.</summary>
    internal static double OfPhrase(ReadOnlySpan<double> weights)
    {
        var sum = 0.0;
        for (var i = 0; i < weights.Length; i++)
        {
            for (var j = i + 1; j < weights.Length && j <= i + Window; j++)
            {
                sum += Gain(weights[i], weights[j], j - i);
            }
        }

        return sum;
    }

    /// <summary>The smallest distance of two lists of rising places that have none in common.</summary>
    internal static int Distance(ReadOnlySpan<int> places, ReadOnlySpan<int> others)
    {
        var (i, j, distance) = (0, 0, int.MaxValue);
        while (i < places.Length && j < others.Length && distance > 1)
        {
            distance = Math.Min(distance, Math.Abs(places[i] - others[j]));
            if (places[i] < others[j])
            {
                i++;
            }
            else
            {
                j++;
            }
        }

        return distance;
    }
}
