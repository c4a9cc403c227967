namespace Reeve.Reliability.Disk;

/// <summary>R26: disks that are full, fail, dawdle, lie or refuse.</summary>
internal static class DiskHarness
{
    internal static async Task<Score> RunAsync(Trial trial)
    {
        var times = trial.Count(test: 1, ci: 2, bench: 20);
        var (trials, figures, problems) = (0L, new List<string>(), new List<string>());
        if (SmallDisk.Missing() is { } missing)
        {
            figures.Add($"full and read-only disk not tried: {missing}");
        }
        else
        {
            for (var i = 0; i < times; i++)
            {
                Add(1, await FullDisk.RunAsync($"full-{i}"), i == 0);
                Add(1, await ReadOnlyDisk.RunAsync(), i == 0);
            }
        }

        var (faults, noCompiler) = await DiskFaults.CompileAsync();
        if (faults is null)
        {
            figures.Add($"faults of the disk not tried: {noCompiler}");
        }
        else
        {
            using (faults)
            {
                foreach (var (index, (rule, hitsAll)) in FaultyDisk.Rules.Index())
                {
                    for (var i = 0; i < times; i++)
                    {
                        var isKilledInTrouble = (index + i) % 2 == 1;
                        var tried = await FaultyDisk.RunAsync(
                            faults, rule, hitsAll, isKilledInTrouble, $"faulty-{i}");
                        Add(1, tried, i == 0);
                    }
                }
            }
        }

        var bytes = trial.Count(test: 20, ci: 200, bench: 5_000);
        Add(bytes, await DamagedFile.RunAsync(bytes, trial.Seed), true);
        return new Score(trials, string.Join("; ", figures), problems);

        void Add(long count, (string Figures, List<string> Problems) result, bool isShown)
        {
            trial.Log(result.Figures);
            trials += count;
            problems.AddRange(result.Problems);
            if (isShown)
            {
                figures.Add(result.Figures);
            }
        }
    }
}
