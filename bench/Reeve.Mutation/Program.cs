using Reeve.Mutation;

const string Usage = """
    bench/mutation                  all modules, about half an hour
    bench/mutation MODULE           one of them
    bench/mutation MODULE --again   only the mutants that survived the last time

    Exit status: 0 every score is 80 % or more, 1 one is less, 2 wrong usage.
    """;

var modules = Module.All.Where(module => args.Length == 0 || module.Name == args[0]).ToList();
if (modules.Count == 0 || args.Length > 2 || (args.Length == 2 && args[1] != "--again"))
{
    var names = string.Join(' ', Module.All.Select(static module => module.Name));
    await Console.Error.WriteLineAsync($"{Usage}\nModules: {names}");
    return 2;
}

var root = Path.GetDirectoryName(Environment.GetEnvironmentVariable("REEVE_SOLUTION"))
    ?? throw new InvalidOperationException("bench/mutation starts this.");
var isGood = true;
foreach (var module in modules)
{
    isGood &= await new ModuleRun(root, module, again: args.Length == 2).RunAsync();
}

return isGood ? 0 : 1;
