namespace Reeve.Server.Retrieval.Parsing.Child;

/// <summary>What a parser may take.</summary>
internal sealed record ParserOptions
{
    /// <summary>
    /// Parsers at once, and one more for an account that has none; the other cores stay free for runs.
    /// </summary>
    internal int WorkersMax { get; init; } = Math.Max(1, Environment.ProcessorCount / 2);

    /// <summary>For one file, from the order to its answer.</summary>
    internal int SecondsMax { get; init; } = 60;

    /// <summary>Of objects; the parser's own runtime keeps it.</summary>
    internal long HeapBytesMax { get; init; } = 384L << 20;

    /// <summary>In RAM, as the server sees the process.</summary>
    internal long ResidentBytesMax { get; init; } = 640L << 20;

    /// <summary>After so many files a parser is replaced, and with it all that they may have left in it.</summary>
    internal int FilesMax { get; init; } = 100;

    internal TimeSpan IdleMax { get; init; } = TimeSpan.FromMinutes(1);
}

/// <summary>The command that starts a parser.</summary>
internal sealed record ParserProgram(string FileName, IReadOnlyList<string> Arguments)
{
    /// <summary>This program again: <c>reeve parse</c>, by its own executable or by <c>dotnet reeve.dll</c>.</summary>
    internal static ParserProgram Own()
    {
        var own = Environment.ProcessPath ?? "reeve";
        return Path.GetFileNameWithoutExtension(own) == "dotnet"
            ? new ParserProgram(own, [Path.Combine(AppContext.BaseDirectory, "reeve.dll"), "parse"])
            : new ParserProgram(own, ["parse"]);
    }
}
