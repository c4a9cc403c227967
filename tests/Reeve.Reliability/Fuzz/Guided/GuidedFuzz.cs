using System.Globalization;
using System.IO.MemoryMappedFiles;
using Reeve.Reliability.Fuzz.ParserFuzz;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability.Fuzz.Guided;

/// <summary>
/// One parser in a process of its own, in an instrumented program:
/// 1. an input that was kept, at first a seed, is changed;
/// 2. the parser gets it, and <see cref="FuzzHost.Judge"/> judges as ever;
/// 3. if it reached what no other reached, it is shortened and kept;
/// 4. again. A thread beside ends the process when an input hangs.
/// </summary>
internal sealed class GuidedFuzz(GuidedFuzzOptions options, FuzzFolder folder)
{
    internal const int HangExitCode = 3;

    private const int PlacesMax = 5;
    private const int TriesMax = 200;
    private static readonly TimeSpan HangMax = TimeSpan.FromSeconds(10);

    private readonly CoverageMap _map = new();
    private readonly List<byte[]> _inputs = [];
    private readonly List<int> _tries = [];
    private readonly HashSet<string> _places = [];
    private readonly SimRandom _random = new(options.Seed);
    private long _runs;
    private long _refused;

    /// <summary>The exit code: 0 nothing was found, 1 something was.</summary>
    internal int Run(string name)
    {
        // Only now, since the map must be there before anything of the server runs.
        var target = FuzzTargets.All.Append(PlantedParser.Target).First(target => target.Name == name);
        var mutator = new FuzzMutator(_random);
        using var current = folder.OpenCurrent(FuzzMutator.LengthMax);
        using var watch = Watch();
        foreach (var seed in target.SeedBytes.Concat(target.SeedBytes)) // Twice: some happens the first time alone.
        {
            Read(target, seed, current);
        }

        foreach (var seed in target.SeedBytes)
        {
            Keep(seed);
        }

        var (begun, edges) = (TimeProvider.System.GetTimestamp(), _map.Edges);
        (_runs, _refused) = (0, 0);
        while (_runs < options.RunsMax && _places.Count < PlacesMax
            && TimeProvider.System.GetElapsedTime(begun) < options.Length)
        {
            Try(target, mutator.Next(Pick(), _inputs), current);
        }

        var seconds = TimeProvider.System.GetElapsedTime(begun).TotalSeconds;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{target.Name}: {_runs:N0} inputs in {seconds:F0} s ({_runs / seconds:N0}/s), "
            + $"{100.0 * _refused / _runs:F0} % refused; {_map.Edges:N0} edges, {edges:N0} of them by the seeds; "
            + $"{_inputs.Count:N0} inputs kept; found {_places.Count}"));
        return _places.Count == 0 ? 0 : 1;
    }

    private void Try(FuzzTarget target, ReadOnlyMemory<byte> input, MemoryMappedViewAccessor current)
    {
        if (Read(target, input, current) && !options.IsBlind)
        {
            Keep(Shorten(target, input.ToArray(), current));
        }
    }

    private void Keep(byte[] input)
    {
        _inputs.Add(input);
        _tries.Add(0);
    }

    /// <summary>True: nothing is wrong, and it reached something new.</summary>
    private bool Read(FuzzTarget target, ReadOnlyMemory<byte> input, MemoryMappedViewAccessor current)
    {
        current.Write(0, input.Length);
        current.SafeMemoryMappedViewHandle.WriteSpan(sizeof(int), input.Span);
        _map.Clear();
        var (isRefused, problem) = FuzzHost.Judge(target, input);
        _runs++;
        _refused += isRefused ? 1 : 0;
        if (problem is not null)
        {
            Report(target, input.Span, problem);
        }

        return _map.Add() && problem is null;
    }

    /// <summary>Without the pieces that do not matter to the way it takes: in a short one, more changes hit.</summary>
    private byte[] Shorten(FuzzTarget target, byte[] input, MemoryMappedViewAccessor current)
    {
        var path = _map.Path;
        for (var (size, tries) = (input.Length / 2, 0); size > 0; size /= 2)
        {
            for (var at = 0; at + size <= input.Length && tries < TriesMax; tries++)
            {
                byte[] shorter = [.. input.AsSpan(0, at), .. input.AsSpan(at + size)];
                Read(target, shorter, current);
                if (_map.Path == path)
                {
                    input = shorter;
                }
                else
                {
                    at += size;
                }
            }
        }

        return input;
    }

    /// <summary>
    /// Half of the time any input that was kept, else the one that was tried least: what a new one reached gets at once
    /// as many tries as the others had.
    /// </summary>
    private byte[] Pick()
    {
        var at = _random.Below(_inputs.Count);
        if (!options.IsBlind && _random.Chance(50))
        {
            at = _tries.IndexOf(_tries.Min());
        }

        _tries[at]++;
        return _inputs[at];
    }

    /// <summary>Once for each place in the code, since the same one is soon found a thousand times.</summary>
    private void Report(FuzzTarget target, ReadOnlySpan<byte> input, string problem)
    {
        var place = problem.Split('\n').FirstOrDefault(
            static line => line.StartsWith("   at Reeve.", StringComparison.Ordinal));
        if (_places.Add(place ?? new string([.. problem.Where(static letter => !char.IsAsciiDigit(letter))])))
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{target.Name}: {problem}\n    input {_runs:N0} of seed {options.Seed}, in {folder.Keep(input)}"));
        }
    }

    private ITimer Watch()
    {
        var before = -1L;
        return TimeProvider.System.CreateTimer(
            _ =>
            {
                if (Interlocked.Exchange(ref before, Interlocked.Read(ref _runs)) == Interlocked.Read(ref _runs))
                {
                    Environment.Exit(HangExitCode);
                }
            },
            null, HangMax, HangMax);
    }
}
