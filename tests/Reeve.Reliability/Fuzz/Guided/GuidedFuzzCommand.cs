using Reeve.Reliability.Fuzz.ParserFuzz;

namespace Reeve.Reliability.Fuzz.Guided;

/// <summary><c>bench/fuzz</c>: the parsers that were asked for, each in a process of its own.</summary>
internal static class GuidedFuzzCommand
{
    internal static async Task<int> RunAsync(string folder, string[] args)
    {
        if (args is ["--help"])
        {
            Console.WriteLine(GuidedFuzzOptions.Usage);
            return 0;
        }

        if (GuidedFuzzOptions.Parse(args) is not { } options)
        {
            await Console.Error.WriteLineAsync(GuidedFuzzOptions.Usage);
            return 2;
        }

        var targets = FuzzTargets.All.Where(
            target => target.Name.Contains(options.Name, StringComparison.OrdinalIgnoreCase)).ToList();
        if (targets.Count == 0 || (options.Input is not null && targets.Count > 1))
        {
            await Console.Error.WriteLineAsync($"{targets.Count} parsers have \"{options.Name}\" in their name.");
            return 2;
        }

        if (options.IsList)
        {
            targets.ForEach(static target => Console.WriteLine(target.Name));
            return 0;
        }

        return options.Input is { } file
            ? Repeat(targets[0], await File.ReadAllBytesAsync(file))
            : await RunAsync(folder, targets, args);
    }

    private static int Repeat(FuzzTarget target, byte[] input)
    {
        var (isRefused, problem) = FuzzHost.Judge(target, input);
        Console.WriteLine(problem ?? (isRefused ? "refused as documented" : "taken"));
        return problem is null ? 0 : 1;
    }

    private static async Task<int> RunAsync(string folder, List<FuzzTarget> targets, string[] args)
    {
        var program = new InstrumentedProgram(Path.Combine(folder, "program"));
        var isClean = true;
        foreach (var target in targets)
        {
            isClean &= await RunAsync(program, folder, target.Name, Console.WriteLine, args);
        }

        return isClean ? 0 : 1;
    }

    /// <summary>True: nothing was found.</summary>
    internal static async Task<bool> RunAsync(
        InstrumentedProgram program, string folder, string target, Action<string> log, params string[] args)
    {
        var code = await program.RunAsync(log, ["fuzz-one", folder, target, .. args]);
        if (code is not (0 or 1))
        {
            var what = code == GuidedFuzz.HangExitCode ? "did not end" : $"ended the process with {code}";
            log($"{target}: an input {what}: {new FuzzFolder(folder, target).KeepCurrent()}");
        }

        return code == 0;
    }

    /// <summary>What the instrumented program does.</summary>
    internal static int RunOne(string folder, string target, string[] args) =>
        new GuidedFuzz(GuidedFuzzOptions.Parse(args)!, new FuzzFolder(folder, target)).Run(target);
}
