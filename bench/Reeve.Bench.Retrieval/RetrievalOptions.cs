namespace Reeve.Bench.Retrieval;

internal sealed record RetrievalOptions
{
    internal const string Help = """
        bench/retrieval [options]
          --quick           without 100,000 chunks
          --squad FILE      a file in the format of SQuAD 2.0 (default: ../shared/data/squad/dev-part.json when there)
          --only PART       ranking, answers, speed or vectors
          --embeddings FOLDER  a local model, to measure what its vectors add (docs/documents.md)
          --markdown FILE   write the results there too
          --work FOLDER     where the data goes (default: artifacts/bench; a disk, not a tmpfs)
        """;

    private static readonly string[] Parts = ["ranking", "answers", "speed", "vectors"];

    internal required string Root { get; init; }

    internal required string WorkFolder { get; init; }

    internal required string SquadFile { get; init; }

    /// <summary>True: the file was named, so that its absence is an error.</summary>
    internal bool IsSquadNamed { get; init; }

    internal bool Quick { get; init; }

    internal string? Only { get; init; }

    internal string? MarkdownFile { get; init; }

    /// <summary>A folder with a local model; null leaves out what needs one.</summary>
    internal string? Embeddings { get; init; }

    internal bool Has(string part) => Only is null || Only == part;

    /// <summary>Null: help was asked for.</summary>
    internal static RetrievalOptions? Parse(string[] arguments)
    {
        var root = Environment.GetEnvironmentVariable("REEVE_BENCH_ROOT") ?? Environment.CurrentDirectory;
        var named = Environment.GetEnvironmentVariable("REEVE_BENCH_SQUAD");
        var options = new RetrievalOptions
        {
            Root = root,
            WorkFolder = Path.Combine(root, "artifacts", "bench"),
            SquadFile = named is null
                ? Path.GetFullPath(Path.Combine(root, "..", "shared", "data", "squad", "dev-part.json"))
                : Path.GetFullPath(named),
            IsSquadNamed = named is not null,
        };
        for (var i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--help" or "-h": return null;
                case "--quick": options = options with { Quick = true }; break;
                case "--only": options = options with { Only = PartOf(ValueOf(arguments, ref i)) }; break;
                case "--markdown":
                    options = options with { MarkdownFile = Path.GetFullPath(ValueOf(arguments, ref i)) };
                    break;
                case "--embeddings":
                    options = options with { Embeddings = Path.GetFullPath(ValueOf(arguments, ref i)) };
                    break;
                case "--work":
                    options = options with { WorkFolder = Path.GetFullPath(ValueOf(arguments, ref i)) };
                    break;
                case "--squad":
                    options = options with
                    {
                        SquadFile = Path.GetFullPath(ValueOf(arguments, ref i)),
                        IsSquadNamed = true,
                    };
                    break;
                default: throw new ArgumentException($"Unknown option: {arguments[i]}");
            }
        }

        return options.IsSquadNamed && !File.Exists(options.SquadFile)
            ? throw new ArgumentException($"There is no file {options.SquadFile}.")
            : options;
    }

    private static string PartOf(string name) => Parts.Contains(name)
        ? name
        : throw new ArgumentException($"--only takes {string.Join(", ", Parts)}, not {name}.");

    private static string ValueOf(string[] arguments, ref int i) => i + 1 < arguments.Length
        ? arguments[++i]
        : throw new ArgumentException($"{arguments[i]} needs a value.");
}
