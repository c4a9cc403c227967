using System.Globalization;

namespace Reeve.Reliability.Backup;

/// <summary>R28: backups of a busy server, some of them killed on the way, each restored and gone on with.</summary>
internal static class BackupHarness
{
    private const int ProblemsMax = 200;

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var count = trial.Count(test: 1, ci: 3, bench: 50);
        var problems = new List<string>();
        var sum = new BackupFigures();
        for (var index = 0; index < count && problems.Count < ProblemsMax; index++)
        {
            var seed = (trial.Seed * 1_000) + (ulong)index;
            await using var round = new BackupRound(seed, sum);
            try
            {
                await round.RunAsync();
            }
#pragma warning disable CA1031 // Whatever broke is what was looked for.
            catch (Exception error)
#pragma warning restore CA1031
            {
                problems.Add($"seed {seed}, {round.Step}: {error}");
                trial.Log(problems[^1]);
            }

            trial.Log($"{index + 1} of {count} restored, {problems.Count} violations");
        }

        return new Score(sum.Backups + sum.Kills, string.Create(CultureInfo.InvariantCulture,
            $"{sum.Backups} backups restored ({sum.Mebibytes:N0} MiB, {sum.Encrypted} encrypted), {sum.Kills} killed "
            + $"on the way, {sum.Runs:N0} runs found again; slowest run beside a backup "
            + $"{sum.SlowestBeside.TotalMilliseconds:N0} ms, else {sum.SlowestElse.TotalMilliseconds:N0} ms"),
            problems);
    }
}

/// <summary>What was measured over all rounds.</summary>
internal sealed class BackupFigures
{
    internal long Backups { get; set; }

    internal long Encrypted { get; set; }

    internal long Kills { get; set; }

    internal long Runs { get; set; }

    internal long Mebibytes { get; set; }

    internal TimeSpan SlowestBeside { get; set; }

    internal TimeSpan SlowestElse { get; set; }
}
