using System.Diagnostics;

namespace Reeve.Mutation;

/// <summary>Tests the tests of one module: each mutant that compiles should make one of them fail.</summary>
internal sealed class ModuleRun(string root, Module module, bool again)
{
    private const int Jobs = 2;

    private readonly string _survivors = Path.Combine(root, "artifacts/mutation", module.Name + ".survivors");

    internal async Task<bool> RunAsync()
    {
        var started = Stopwatch.GetTimestamp();
        var equivalents = Equivalents.Read();
        var tree = new MutantTree(root, equivalents);
        var mutants = tree.Build(module);
        if (Equivalents.Stale(equivalents, module, mutants) is { Count: > 0 } stale)
        {
            throw new InvalidOperationException("No mutant any more: " + string.Join(Environment.NewLine, stale));
        }

        var counted = mutants.Where(static mutant =>
            mutant.Verdict == Verdict.None && mutant.Equivalent is null).ToList();
        if (again)
        {
            var before = await File.ReadAllLinesAsync(_survivors);
            counted = [.. counted.Where(mutant => before.Contains(Key(mutant)))];
        }

        using var runner = new TestRunner(tree.TestAssembly);
        await JudgeAsync(runner, counted);
        return await ReportAsync(mutants, counted, Stopwatch.GetElapsedTime(started));
    }

    private async Task JudgeAsync(TestRunner runner, List<Mutant> counted)
    {
        var traces = new Dictionary<string, (HashSet<int> Seen, TimeSpan Duration)>(StringComparer.Ordinal);
        foreach (var name in module.Classes)
        {
            traces[name] = await runner.TraceAsync(name);
        }

        var done = 0;
        await Parallel.ForEachAsync(counted, new ParallelOptions { MaxDegreeOfParallelism = Jobs }, async (mutant, _) =>
        {
            mutant.Verdict = await JudgeAsync(runner, mutant, [.. traces
                .Where(trace => trace.Value.Seen.Contains(mutant.Number)).OrderBy(static trace => trace.Value.Duration)
                .Select(static trace => (trace.Key, trace.Value.Duration))]);
            if (IsAlive(mutant))
            {
                Console.WriteLine($"  {(mutant.Verdict == Verdict.Survived ? "survived" : "not reached")}  {mutant}");
            }

            if (Interlocked.Increment(ref done) % 25 == 0)
            {
                await Console.Error.WriteLineAsync($"{module.Name}: {done} of {counted.Count}");
            }
        });
    }

    /// <summary>The fastest class first, for most mutants fall at once.</summary>
    private static async Task<Verdict> JudgeAsync(
        TestRunner runner, Mutant mutant, List<(string Name, TimeSpan Duration)> classes)
    {
        foreach (var (name, usual) in classes)
        {
            var limit = (usual * 3) + TimeSpan.FromSeconds(10);
            var outcome = await runner.RunAsync([name], mutant.Number, limit);
            if (outcome == TestRunner.Outcome.TimedOut)
            {
                outcome = await runner.RunAsync([name], mutant.Number, limit); // The machine may have been busy.
            }

            switch (outcome)
            {
                case TestRunner.Outcome.Failed:
                    return Verdict.Killed;
                case TestRunner.Outcome.TimedOut:
                    return Verdict.TimedOut;
                default:
                    break;
            }
        }

        return classes.Count == 0 ? Verdict.NotReached : Verdict.Survived;
    }

    private static bool IsAlive(Mutant mutant) => mutant.Verdict is Verdict.Survived or Verdict.NotReached;

    private async Task<bool> ReportAsync(List<Mutant> all, List<Mutant> counted, TimeSpan duration)
    {
        var alive = counted.Where(IsAlive).ToList();
        await File.WriteAllLinesAsync(_survivors, alive.Select(Key));
        int Of(Verdict verdict) => counted.Count(mutant => mutant.Verdict == verdict);
        var score = counted.Count == 0 ? 100 : 100.0 * (counted.Count - alive.Count) / counted.Count;
        Console.WriteLine($"{module.Name}: {counted.Count} mutants, {Of(Verdict.Killed)} killed, "
            + $"{Of(Verdict.TimedOut)} timed out, {Of(Verdict.Survived)} survived, "
            + $"{Of(Verdict.NotReached)} not reached; score {score:0.0} %; "
            + $"{all.Count(static mutant => mutant.Equivalent is not null)} equivalent, "
            + $"{all.Count(static mutant => mutant.Verdict == Verdict.DoesNotCompile)} do not compile; "
            + $"{duration.TotalMinutes:0.0} minutes");
        return again || score >= 80;
    }

    private static string Key(Mutant mutant) => $"{mutant.File} | {mutant.Before} => {mutant.After}";
}
