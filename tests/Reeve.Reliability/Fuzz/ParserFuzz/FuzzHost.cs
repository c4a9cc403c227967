using System.Globalization;
using System.Text;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability.Fuzz.ParserFuzz;

/// <summary>
/// R14: every parser gets millions of changed inputs. It may take one or refuse it in its documented way, within a
/// second and a bounded amount of memory; anything else is a violation.
/// </summary>
internal static class FuzzHost
{
    private const int ProblemsPerTarget = 5;
    private const long BytesMax = 16 * 1024 * 1024;
    private static readonly TimeSpan DurationMax = TimeSpan.FromSeconds(1);

    internal static Task<Score> RunAsync(Trial trial)
    {
        var all = trial.Count(test: 200_000, ci: 10_000_000, bench: 10_000_000);
        var problems = new List<string>();
        var figures = new List<string>();
        var total = 0L;
        foreach (var target in FuzzTargets.All)
        {
            // For the published figures each parser gets the whole number.
            var count = trial.Scale == Scale.Bench ? all : (int)((long)all * target.Share / 1_000);
            var begun = TimeProvider.System.GetTimestamp();
            var (taken, refused) = Run(target, count, trial.Seed, problems);
            var seconds = TimeProvider.System.GetElapsedTime(begun).TotalSeconds;
            total += count;
            figures.Add(string.Create(CultureInfo.InvariantCulture,
                $"{target.Name} {count:N0} ({100.0 * refused / count:F0} % refused)"));
            trial.Log(string.Create(CultureInfo.InvariantCulture,
                $"{target.Name}: {taken} taken, {refused} refused, {seconds:F1} s"));
        }

        return Task.FromResult(new Score(total, string.Join(", ", figures), problems));
    }

    internal static (long Taken, long Refused) Run(
        FuzzTarget target, int count, ulong seed, List<string> problems)
    {
        var mutator = new FuzzMutator(new SimRandom(seed));
        var (taken, refused, wrong) = (0L, 0L, 0);
        foreach (var good in target.SeedBytes)
        {
            target.Read(good); // A seed that is refused would lead nowhere.
        }

        for (var i = 0; i < count && wrong < ProblemsPerTarget; i++)
        {
            var input = mutator.Next(target.SeedBytes);
            var (isRefused, problem) = Judge(target, input);
            refused += isRefused ? 1 : 0;
            taken += isRefused || problem is not null ? 0 : 1;
            if (problem is not null)
            {
                wrong++;
                problems.Add(string.Create(CultureInfo.InvariantCulture,
                    $"{target.Name}, seed {seed}, input {i}: {problem}\n    {Encoding.Latin1.GetString(input.Span)}"));
            }
        }

        return (taken, refused);
    }

    /// <summary>What is wrong with what a parser does to an input; null: nothing is.</summary>
    internal static (bool IsRefused, string? Problem) Judge(FuzzTarget target, ReadOnlyMemory<byte> input)
    {
        var (allocated, begun) = (GC.GetAllocatedBytesForCurrentThread(), TimeProvider.System.GetTimestamp());
        var isRefused = false;
        string? problem = null;
        try
        {
            target.Read(input);
        }
        catch (Exception error) when (target.IsRefusal(error))
        {
            isRefused = true;
        }
#pragma warning disable CA1031 // Anything else is what is looked for.
        catch (Exception error)
#pragma warning restore CA1031
        {
            problem = error is FuzzException ? error.Message : error.ToString();
        }

        if (TimeProvider.System.GetElapsedTime(begun) is var time && time > DurationMax)
        {
            problem ??= $"it took {time}";
        }

        if (GC.GetAllocatedBytesForCurrentThread() - allocated is var bytes && bytes > BytesMax)
        {
            problem ??= $"it allocated {bytes} bytes";
        }

        return (isRefused, problem);
    }
}
