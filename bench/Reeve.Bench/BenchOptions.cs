namespace Reeve.Bench;

internal sealed record BenchOptions
{
    internal const string Help = """
        bench/run [options]
          --quick           about a minute instead of a few
          --json FILE       write the results as JSON
          --markdown FILE   write the results section for docs/performance.md
          --without-reeve   the mock and the pass-through alone
          --reeve FILE      another executable than the one just built (to compare two versions)
          --work FOLDER     where the data of the servers goes (default: artifacts/bench; a disk, not a tmpfs)
          --keep            leave that data behind
        """;

    internal required string Root { get; init; }

    internal required string WorkFolder { get; init; }

    internal required string ReeveFile { get; init; }

    internal bool Quick { get; init; }

    internal bool WithoutReeve { get; init; }

    internal bool Keep { get; init; }

    internal string? JsonFile { get; init; }

    internal string? MarkdownFile { get; init; }

    internal int WarmUpBurstsMax => Quick ? 6 : 12;

    internal TimeSpan Load => TimeSpan.FromSeconds(Quick ? 2 : 10);

    internal int[] Streams => Quick ? [64] : [1, 64, 512];

    internal int WarmUpStreams => Quick ? 256 : 1_280;

    internal TimeSpan Settle => TimeSpan.FromSeconds(Quick ? 1 : 3);

    internal int StreamRounds => Quick ? 2 : 6;

    /// <summary>Null: help was asked for.</summary>
    internal static BenchOptions? Parse(string[] arguments)
    {
        var root = Environment.GetEnvironmentVariable("REEVE_BENCH_ROOT") ?? Environment.CurrentDirectory;
        var options = new BenchOptions
        {
            Root = root,
            WorkFolder = Path.Combine(root, "artifacts", "bench"),
            ReeveFile = Path.Combine(root, "artifacts", "bin", "Reeve.Cli", "release", "reeve"),
        };
        for (var i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--help" or "-h": return null;
                case "--quick": options = options with { Quick = true }; break;
                case "--without-reeve": options = options with { WithoutReeve = true }; break;
                case "--keep": options = options with { Keep = true }; break;
                case "--json": options = options with { JsonFile = ValueOf(arguments, ref i) }; break;
                case "--markdown": options = options with { MarkdownFile = ValueOf(arguments, ref i) }; break;
                case "--reeve": options = options with { ReeveFile = ValueOf(arguments, ref i) }; break;
                case "--work": options = options with { WorkFolder = ValueOf(arguments, ref i) }; break;
                default: throw new ArgumentException($"Unknown option: {arguments[i]}");
            }
        }

        return options;
    }

    /// <summary>A file is named from where the user stands; full, since the servers work elsewhere.</summary>
    private static string ValueOf(string[] arguments, ref int i) => i + 1 < arguments.Length
        ? Path.GetFullPath(arguments[++i])
        : throw new ArgumentException($"{arguments[i]} needs a value.");
}
