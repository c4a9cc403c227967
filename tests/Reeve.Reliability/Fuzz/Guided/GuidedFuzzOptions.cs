using System.Globalization;

namespace Reeve.Reliability.Fuzz.Guided;

/// <summary>
/// What <c>bench/fuzz</c> was asked for. <c>RunsMax</c> and <c>Length</c> hold for each parser; whichever is over first
/// ends it.
/// </summary>
internal sealed record GuidedFuzzOptions(string Name, ulong Seed, long RunsMax, TimeSpan Length, bool IsBlind)
{
    internal const string Usage =
        """
        bench/fuzz [NAME] [--minutes N | --runs N] [--seed N] [--blind]
        bench/fuzz NAME --input FILE
        bench/fuzz --list

        Changes inputs of Reeve's parsers and keeps those that reach new code, to change them further.

          NAME      the parsers whose name contains it; without it all of them, one after the other
          --minutes how long each of them gets (the default is 1)
          --runs    how many inputs each of them gets, however long that takes
          --seed    where the random choices begin (the default is 1)
          --blind   keeps nothing, as R14 of bench/reliability does: what is guidance worth?
          --input   this one input, to repeat what was found
          --list    the parsers

        What a parser neither takes nor refuses as documented, what takes it more than a second or 16 MiB, and what
        ends or hangs the process is written to artifacts/fuzz/findings.
        Exit status: 0 nothing was found; 1 something was; 2 wrong usage.
        """;

    private const double MinutesMax = 7 * 24 * 60;

    internal bool IsList { get; init; }

    /// <summary>The file whose bytes are the one input.</summary>
    internal string? Input { get; init; }

    /// <summary>Null: they make no sense.</summary>
    internal static GuidedFuzzOptions? Parse(string[] args)
    {
        var options = new GuidedFuzzOptions("", 1, long.MaxValue, TimeSpan.FromMinutes(1), IsBlind: false);
        for (var i = 0; i < args.Length; i++)
        {
            var value = i + 1 < args.Length ? args[i + 1] : null;
            switch (args[i])
            {
                case "--list":
                    options = options with { IsList = true };
                    break;
                case "--blind":
                    options = options with { IsBlind = true };
                    break;
                case "--minutes" when double.TryParse(value, CultureInfo.InvariantCulture, out var minutes)
                    && minutes is > 0 and <= MinutesMax:
                    options = options with { Length = TimeSpan.FromMinutes(minutes) };
                    i++;
                    break;
                case "--runs" when long.TryParse(value, CultureInfo.InvariantCulture, out var runs) && runs > 0:
                    options = options with { RunsMax = runs, Length = TimeSpan.MaxValue };
                    i++;
                    break;
                case "--seed" when ulong.TryParse(value, CultureInfo.InvariantCulture, out var seed):
                    options = options with { Seed = seed };
                    i++;
                    break;
                case "--input" when value is not null && options.Name.Length > 0:
                    options = options with { Input = value };
                    i++;
                    break;
                case var name when !name.StartsWith('-') && options.Name.Length == 0:
                    options = options with { Name = name };
                    break;
                default:
                    return null;
            }
        }

        return options;
    }
}
