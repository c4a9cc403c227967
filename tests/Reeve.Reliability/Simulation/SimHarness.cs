using System.Collections.Concurrent;
using System.Globalization;

namespace Reeve.Reliability.Simulation;

/// <summary>R1: histories from seeds, two at a time, each checked at its end.</summary>
internal static class SimHarness
{
    /// <summary>Prints every turn of one history and what was wrong at its end; 0: nothing.</summary>
    internal static int Replay(ulong seed)
    {
        var result = SimWorld.Run(seed, traced: true);
        Console.Write(result.Trace);
        foreach (var problem in result.Problems)
        {
            Console.WriteLine(problem);
        }

        return result.Problems.Count == 0 ? 0 : 1;
    }

    /// <summary>Plays histories until one of them is red, and prints what was wrong; 0: none was.</summary>
    internal static int PlayUntilRed(ulong first, int count)
    {
        for (var seed = first; seed < first + (ulong)count; seed++)
        {
            var result = SimWorld.Run(seed);
            if (result.Problems.Count > 0)
            {
                Console.WriteLine(string.Join('\n', result.Problems));
                return 1;
            }
        }

        return 0;
    }

    internal static Task<Score> RunAsync(Trial trial)
    {
        var count = trial.Count(test: 150, ci: 2_000, bench: 100_000);
        var problems = new ConcurrentQueue<string>();
        var (crashes, runs, done) = (0L, 0L, 0L);
        var (acknowledged, audited, payments, documents, deleted, paused, hedges) = (0L, 0L, 0L, 0L, 0L, 0L, 0L);
        Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, index =>
        {
            var result = SimWorld.Run(trial.Seed * 1_000_000 + (ulong)index);
            Interlocked.Add(ref crashes, result.Crashes);
            Interlocked.Add(ref runs, result.Runs);
            Interlocked.Add(ref acknowledged, result.Acknowledged);
            Interlocked.Add(ref audited, result.Audited);
            Interlocked.Add(ref payments, result.Payments);
            Interlocked.Add(ref documents, result.Documents);
            Interlocked.Add(ref deleted, result.Deleted);
            Interlocked.Add(ref hedges, result.Hedges);
            Interlocked.Add(ref paused, result.HadTwoWriters ? 1 : 0);
            foreach (var problem in result.Problems)
            {
                problems.Enqueue(problem);
                trial.Log(problem);
            }

            if (Interlocked.Increment(ref done) % 1_000 == 0)
            {
                trial.Log($"{done} histories, {problems.Count} violations");
            }
        });
        if (((long[])[acknowledged, audited, payments, documents, deleted, hedges]).Contains(0))
        {
            problems.Enqueue("some of what is checked never came about");
        }

        return Task.FromResult(new Score(count, string.Create(CultureInfo.InvariantCulture,
            $"{crashes:N0} crashes, {paused:N0} histories with a process that was paused and replaced; {runs:N0} runs ")
            + string.Create(CultureInfo.InvariantCulture,
                $"asked for, {acknowledged:N0} acknowledged, {audited:N0} streams and answers read again, ")
            + string.Create(CultureInfo.InvariantCulture,
                $"{payments:N0} payments, {documents:N0} documents, {deleted:N0} conversations deleted, ")
            + string.Create(CultureInfo.InvariantCulture, $"{hedges:N0} calls hedged"),
            [.. problems]));
    }
}
