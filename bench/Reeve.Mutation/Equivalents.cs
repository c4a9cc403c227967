namespace Reeve.Mutation;

/// <summary>The list of mutants that change nothing, with the reason of each.</summary>
internal static class Equivalents
{
    internal static IReadOnlyDictionary<string, string> Read()
    {
        using var reader = new StreamReader(
            typeof(Equivalents).Assembly.GetManifestResourceStream("equivalents.txt")!);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(static line => line[0] != '#')
            .Select(static line => (Line: line, At: line.LastIndexOf(" | ", StringComparison.Ordinal)))
            .ToDictionary(static line => line.Line[..line.At], static line => line.Line[(line.At + 3)..]);
    }

    /// <summary>The lines about this module's files that fit no mutant any more.</summary>
    internal static List<string> Stale(
        IReadOnlyDictionary<string, string> equivalents, Module module, IEnumerable<Mutant> mutants)
    {
        var known = mutants.Select(static mutant => $"{mutant.File} | {mutant.Before} => {mutant.After}").ToHashSet();
        return [.. equivalents.Keys.Where(key => module.Files.Contains(key.Split(" | ")[0]) && !known.Contains(key))];
    }
}
