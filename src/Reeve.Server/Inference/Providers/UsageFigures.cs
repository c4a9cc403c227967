using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers;

/// <summary>
/// The token counts of one answer. Money follows from them, so a figure that no call can have (negative, no number,
/// beyond all sense) counts as not reported and is noted.
/// </summary>
internal sealed class UsageFigures
{
    /// <summary>No model reads or writes so many tokens in one call.</summary>
    private const long TokensMax = 100_000_000;

    internal long? Input { get; set; }

    internal long? Output { get; set; }

    internal long? CachedInput { get; set; }

    internal long? Reasoning { get; set; }

    /// <summary>True when the provider sent a figure that was refused.</summary>
    internal bool WasDoubtful { get; private set; }

    /// <summary>Reads the value after the property's name; null for none, or for one that is refused.</summary>
    internal long? Next(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
        {
            return null;
        }

        if (reader.TokenType == JsonTokenType.Number && reader.TryGetDecimal(out var figure)
            && figure is >= 0 and <= TokensMax && figure == decimal.Truncate(figure))
        {
            return (long)figure;
        }

        WasDoubtful = true;
        reader.Skip();
        return null;
    }

    /// <summary>Null when nothing was reported.</summary>
    internal UsageDetails? ToDetails()
    {
        if (Input is null && Output is null)
        {
            return null;
        }

        if (CachedInput > Input || Reasoning > Output)
        {
            WasDoubtful = true;
        }

        return new UsageDetails
        {
            InputTokenCount = Input,
            OutputTokenCount = Output,
            TotalTokenCount = Input + Output,
            CachedInputTokenCount = CachedInput > Input ? null : CachedInput,
            ReasoningTokenCount = Reasoning > Output ? null : Reasoning,
        };
    }
}
