using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers;

/// <summary>
/// The token counts of one answer. Money follows from them, so a figure that no call can have (negative, no number,
/// beyond all sense) counts as not reported and is noted.
/// </summary>
internal sealed class UsageFigures
{
    /// <summary>Where <see cref="UsageDetails.AdditionalCounts"/> has what was written to a cache.</summary>
    internal const string CacheWrittenKey = "cache_write_input_tokens";

    /// <summary>No model reads or writes so many tokens in one call.</summary>
    private const long TokensMax = 100_000_000;

    internal long? Input { get; set; }

    internal long? Output { get; set; }

    /// <summary>The part of the input that the provider read from its cache.</summary>
    internal long? CachedInput { get; set; }

    /// <summary>The part of the input that the provider wrote to its cache.</summary>
    internal long? CacheWritten { get; set; }

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

        if (reader.TokenType == JsonTokenType.Number && reader.TryGetDecimal(out var figure) && IsTokens(figure))
        {
            return (long)figure;
        }

        WasDoubtful = true;
        reader.Skip();
        return null;
    }

    /// <summary>As <see cref="Next"/>, for a member of an object that has been read.</summary>
    internal long? Of(JsonElement usage, string name)
    {
        if (JsonText.Member(usage, name) is not { } value)
        {
            return null;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out var figure) && IsTokens(figure))
        {
            return (long)figure;
        }

        WasDoubtful = true;
        return null;
    }

    /// <summary>
    /// Null when nothing was reported. A side of more than so many tokens is one that this call cannot have.
    /// </summary>
    internal UsageDetails? ToDetails(long tokensMax = TokensMax)
    {
        if (Input > tokensMax || Output > tokensMax)
        {
            (Input, Output) = (Input > tokensMax ? null : Input, Output > tokensMax ? null : Output);
            WasDoubtful = true;
        }

        if (Input == 0)
        {
            // Some servers write zeros where they do not count; a call without input is none.
            Input = null;
            WasDoubtful = true;
        }

        if (Input is null && Output is null)
        {
            return null;
        }

        // Parts cannot be more than the whole.
        var isWrong = (CachedInput ?? 0) + (CacheWritten ?? 0) > (Input ?? 0);
        if (isWrong || Reasoning > (Output ?? 0))
        {
            WasDoubtful = true;
        }

        return new UsageDetails
        {
            InputTokenCount = Input,
            OutputTokenCount = Output,
            TotalTokenCount = Input + Output,
            CachedInputTokenCount = isWrong ? null : CachedInput,
            ReasoningTokenCount = Reasoning > (Output ?? 0) ? null : Reasoning,
            AdditionalCounts = isWrong || CacheWritten is not > 0
                ? null
                : new() { [CacheWrittenKey] = CacheWritten.Value },
        };
    }

    private static bool IsTokens(decimal figure) =>
        figure is >= 0 and <= TokensMax && figure == decimal.Truncate(figure);
}
