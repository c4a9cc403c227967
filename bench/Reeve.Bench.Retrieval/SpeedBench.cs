using System.Globalization;
using System.Text;
using System.Text.Json;
using Reeve.Server.Retrieval;

namespace Reeve.Bench.Retrieval;

/// <summary>
/// How fast documents are indexed through the product's own path, each durable before the next begins, and how fast is
/// searched then; beside FTS5 with the same texts.
/// </summary>
internal static class SpeedBench
{
    private const int ChunksOfADocument = 50;
    private const int Limit = 10;
    private const int QueriesMax = 1_000;

    /// <summary>One document in so many is of the kind that the filtered searches ask for.</summary>
    private const int RareEvery = 200;

    private static readonly TimeSpan QueriesFor = TimeSpan.FromSeconds(15);
    private static readonly JsonElement Rare = JsonElement.Parse("""{"kind":"rare"}""");
    private static readonly JsonElement Usual = JsonElement.Parse("""{"kind":"usual"}""");

    internal static async Task RunAsync(ReeveHost host, string folder, int chunks, Report report, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var text = new SyntheticText(42);
        var agent = await host.NewAgentAsync($"Speed {chunks}", cancellationToken);
        using var plain = new PlainFts(Path.Combine(folder, $"plain-{chunks}.db"));
        var (ours, theirs, slowest) = (TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero);
        var (ourProcessor, theirProcessor) = (TimeSpan.Zero, TimeSpan.Zero);
        var (questions, added) = (new List<string>(), 0L);
        var documents = chunks / ChunksOfADocument;
        for (var i = 0; i < documents; i++)
        {
            var paragraphs = text.Paragraphs(ChunksOfADocument);
            var document = new NewDocument
            {
                Name = $"synthetic-{i}.txt",
                Bytes = Encoding.UTF8.GetBytes(string.Join("\n\n", paragraphs)),
                IsText = true,
                Metadata = i % RareEvery == 0 ? Rare : Usual,
            };
            var before = Environment.CpuUsage.TotalTime;
            var begun = time.GetTimestamp();
            var addition = await host.Documents.AddAsync(host.Tenant, agent, document, cancellationToken);
            var took = time.GetElapsedTime(begun);
            (ours, slowest) = (ours + took, took > slowest ? took : slowest);
            ourProcessor += Environment.CpuUsage.TotalTime - before;
            added += addition.Document.ChunkCount;
            before = Environment.CpuUsage.TotalTime;
            begun = time.GetTimestamp();
            plain.Add(paragraphs);
            theirs += time.GetElapsedTime(begun);
            theirProcessor += Environment.CpuUsage.TotalTime - before;
            if (i % Math.Max(1, documents * 10 / QueriesMax) == 0)
            {
                questions.AddRange(Enumerable.Range(0, 10)
                    .Select(_ => text.Question(paragraphs[text.Next(ChunksOfADocument)])));
            }
        }

        Write(report, chunks, "a document of 2,000 chunks", "Reeve",
            await UploadLargeAsync(host, agent, text.Paragraphs(2_000), time, cancellationToken));
        Write(report, chunks, "index", "Reeve", Rate(added, ours, ourProcessor) + string.Create(
            CultureInfo.InvariantCulture, $"; the slowest document {slowest.TotalMilliseconds:F0} ms"));
        Write(report, chunks, "index", "plain FTS5", Rate(chunks, theirs, theirProcessor));
        var frequent = Enumerable.Range(0, QueriesMax).Select(_ => text.FrequentWords()).ToList();
        foreach (var (kind, queries) in ((string, List<string>)[])
            [("questions of ten words", Shuffled(questions, text)), ("five frequent words", frequent)])
        {
            Write(report, chunks, kind, "Reeve", Measure(queries,
                query => host.Retriever.Search(host.Tenant, agent, query, Limit), time));
            Write(report, chunks, kind, "plain FTS5", Measure(queries, query => plain.Search(query), time));
        }

        Write(report, chunks, $"questions, filter that fits 1 of {RareEvery} documents", "Reeve", Measure(questions,
            query => host.Retriever.Search(host.Tenant, agent, query, Limit, filter: Rare), time));
    }

    /// <summary>How long it takes, and how long others' writes wait for the writer meanwhile.</summary>
    private static async Task<string> UploadLargeAsync(ReeveHost host, string agent, List<string> paragraphs,
        TimeProvider time, CancellationToken cancellationToken)
    {
        var begun = time.GetTimestamp();
        var upload = host.Documents.AddAsync(host.Tenant, agent, new NewDocument
        {
            Name = "large.txt",
            Bytes = Encoding.UTF8.GetBytes(string.Join("\n\n", paragraphs)),
            IsText = true,
        }, cancellationToken);
        var longest = TimeSpan.Zero;
        while (!upload.IsCompleted)
        {
            var asked = time.GetTimestamp();
            await host.Database.ProbeAsync();
            var waited = time.GetElapsedTime(asked);
            longest = waited > longest ? waited : longest;
        }

        await upload;
        return string.Create(CultureInfo.InvariantCulture,
            $"{time.GetElapsedTime(begun).TotalMilliseconds:F0} ms; another write waited at most "
            + $"{longest.TotalMilliseconds:F0} ms");
    }

    private static string Rate(long chunks, TimeSpan took, TimeSpan processor) => string.Create(
        CultureInfo.InvariantCulture,
        $"{chunks / took.TotalSeconds:N0} chunks/s, {chunks / processor.TotalSeconds:N0} a second of processor time");

    private static List<string> Shuffled(List<string> queries, SyntheticText text) =>
        [.. queries.Select(query => (query, text.Next(int.MaxValue))).OrderBy(static pair => pair.Item2)
            .Select(static pair => pair.query)];

    internal static string Measure<T>(List<T> queries, Action<T> search, TimeProvider time)
    {
        for (var i = 0; i < Math.Min(50, queries.Count); i++)
        {
            search(queries[i]);
        }

        var took = new List<double>();
        var start = time.GetTimestamp();
        foreach (var query in queries)
        {
            var begun = time.GetTimestamp();
            search(query);
            took.Add(time.GetElapsedTime(begun).TotalMilliseconds);
            if (time.GetElapsedTime(start) > QueriesFor)
            {
                break;
            }
        }

        took.Sort();
        return string.Create(CultureInfo.InvariantCulture,
            $"p50 {took[took.Count / 2]:F2} ms, p99 {took[took.Count * 99 / 100]:F2} ms ({took.Count} queries)");
    }

    private static void Write(Report report, int chunks, string what, string who, string result) => report.Line(
        string.Create(CultureInfo.InvariantCulture, $"| {chunks:N0} | {what} | {who} | {result} |"));
}
