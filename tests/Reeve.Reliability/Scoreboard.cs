using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Reeve.Reliability;

/// <summary>
/// Runs the harnesses and prints what they found, as a table that can be committed: 0 violations in N trials, seed S.
/// </summary>
internal static class Scoreboard
{
    private const double MinutesMax = 7 * 24 * 60;

    private const string Usage =
        """
        bench/reliability [--ci | --bench] [--only ID,ID] [--seed N] [--minutes N] [--out FILE]

          --ci      the sizes of every change (the default)
          --bench   the sizes of the published figures; takes hours
          --only    these rows alone, by their id
          --seed    where the random choices begin; a row that fails names the seed that repeats it
          --minutes how long the soak goes on
          --out     writes the table to a file as well
        """;

    internal static async Task<int> RunAsync(string[] args)
    {
        if (Options.Parse(args) is not { } options)
        {
            await Console.Error.WriteLineAsync(Usage);
            return 2;
        }

        var rows = ScoreRows.All.Where(row => options.Only.Length == 0 || options.Only.Contains(row.Id)).ToList();
        if (options.Only.Except(rows.Select(static row => row.Id)).FirstOrDefault() is { } unknown)
        {
            await Console.Error.WriteLineAsync($"There is no row {unknown}.");
            return 2;
        }

        var table = new StringBuilder(Head(options));
        var isClean = true;
        foreach (var row in rows)
        {
            var line = await RunAsync(row, options);
            isClean &= line.IsClean;
            table.Append(line.Text);
        }

        await Console.Out.WriteAsync("\n" + table);
        if (options.Out is { } file)
        {
            await File.WriteAllTextAsync(file, table.ToString());
        }

        return isClean ? 0 : 1;
    }

    private static async Task<(string Text, bool IsClean)> RunAsync(ScoreRow row, Options options)
    {
        if (row.Run is not { } run)
        {
            return ($"| {row.Id} | {row.What} | – | – | not yet: {row.NotYet} | – |\n", true);
        }

        await Console.Error.WriteLineAsync($"{row.Id}: {row.What} ...");
        var begun = Stopwatch.GetTimestamp();
        Score score;
        try
        {
            score = await run(new Trial(options.Scale, options.Seed,
                line => Console.Error.WriteLine($"  {row.Id}: {line}"))
            {
                Length = options.Length,
            });
        }
#pragma warning disable CA1031 // A harness that breaks is a red row, and the others still run.
        catch (Exception error)
#pragma warning restore CA1031
        {
            score = new Score(0, "the harness itself failed", [error.ToString()]);
        }

        if (score.Trials == 0 && score.Problems.Count == 0)
        {
            score = score with { Problems = ["nothing was tried"] };
        }

        foreach (var problem in score.Problems)
        {
            await Console.Error.WriteLineAsync($"  {row.Id} VIOLATION: {problem}");
        }

        var seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds.ToString("N0", CultureInfo.InvariantCulture);
        var trials = score.Trials.ToString("N0", CultureInfo.InvariantCulture);
        var isClean = score.Problems.Count == 0;
        var violations = isClean ? "0" : $"**{score.Problems.Count}**";
        return ($"| {row.Id} | {row.What} | {trials} | {violations} | {score.Figures} | {seconds} s |\n", isClean);
    }

    private static string Head(Options options) =>
        $"""
        {options.Scale} scale, seed {options.Seed}, {DateTimeOffset.Now:yyyy-MM-dd}, commit {Commit()},
        {Environment.ProcessorCount} cores, {RuntimeInformation.OSDescription},
        {RuntimeInformation.FrameworkDescription}

        | row | measure | trials | violations | figures | took |
        |---|---|---|---|---|---|

        """;

    private static string Commit()
    {
        using var git = Process.Start(new ProcessStartInfo("git", ["describe", "--always", "--dirty"])
        {
            RedirectStandardOutput = true,
        });
        return git?.StandardOutput.ReadToEnd().Trim() ?? "unknown";
    }

    private sealed record Options(Scale Scale, ulong Seed, string[] Only, string? Out, TimeSpan? Length)
    {
        internal static Options? Parse(string[] args)
        {
            var options = new Options(Scale.Ci, 1, [], null, null);
            for (var i = 0; i < args.Length; i++)
            {
                var value = i + 1 < args.Length ? args[i + 1] : null;
                switch (args[i])
                {
                    case "--ci":
                        options = options with { Scale = Scale.Ci };
                        break;
                    case "--bench":
                        options = options with { Scale = Scale.Bench };
                        break;
                    case "--only" when value is not null:
                        options = options with { Only = value.Split(',') };
                        i++;
                        break;
                    case "--seed" when ulong.TryParse(value, CultureInfo.InvariantCulture, out var seed):
                        options = options with { Seed = seed };
                        i++;
                        break;
                    case "--minutes" when double.TryParse(value, CultureInfo.InvariantCulture, out var minutes)
                        && minutes is > 0 and <= MinutesMax:
                        options = options with { Length = TimeSpan.FromMinutes(minutes) };
                        i++;
                        break;
                    case "--out" when value is not null:
                        options = options with { Out = value };
                        i++;
                        break;
                    default:
                        return null;
                }
            }

            return options;
        }
    }
}
