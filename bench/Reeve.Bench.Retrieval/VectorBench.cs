using System.Globalization;
using System.Numerics.Tensors;
using System.Text;
using System.Text.Json;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using Reeve.Server.Retrieval.Vectors;

namespace Reeve.Bench.Retrieval;

/// <summary>
/// What vectors add to a search: documents whose vectors the server itself has had made, searched with and without the
/// vector of the question, which is at hand.
/// </summary>
internal static class VectorBench
{
    private const int ChunksOfADocument = 50;
    private const int Limit = 10;
    private const int Candidates = 40;
    private const int QueriesMax = 1_000;
    private const int RecallQueries = 100;

    private static readonly TimeSpan PollEvery = TimeSpan.FromMilliseconds(50);
    private static readonly JsonElement Rare = JsonElement.Parse("""{"kind":"rare"}""");
    private static readonly JsonElement Usual = JsonElement.Parse("""{"kind":"usual"}""");

    internal static async Task RunAsync(
        ReeveHost host, int chunks, Report report, TimeProvider time, CancellationToken cancellationToken)
    {
        var text = new SyntheticText(42);
        var agent = await host.NewAgentAsync($"Vectors {chunks}", cancellationToken);
        var questions = new List<string>();
        var documents = chunks / ChunksOfADocument;
        for (var i = 0; i < documents; i++)
        {
            var paragraphs = text.Paragraphs(ChunksOfADocument);
            await host.Documents.AddAsync(host.Tenant, agent, new NewDocument
            {
                Name = $"synthetic-{i}.txt",
                Bytes = Encoding.UTF8.GetBytes(string.Join("\n\n", paragraphs)),
                IsText = true,
                Metadata = i % 200 == 0 ? Rare : Usual,
            }, cancellationToken);
            if (i % Math.Max(1, documents * 10 / QueriesMax) == 0)
            {
                questions.AddRange(Enumerable.Range(0, 10)
                    .Select(_ => text.Question(paragraphs[text.Next(ChunksOfADocument)])));
            }
        }

        var begun = time.GetTimestamp();
        while (host.Database.Read(static session =>
            session.Count("SELECT count(*) FROM documents WHERE is_embedded = 0")) > 0)
        {
            await Task.Delay(PollEvery, time, cancellationToken);
        }

        Write(report, chunks, "vectors made and written after the last upload",
            $"{time.GetElapsedTime(begun).TotalSeconds:F1} s");
        var vectors = await host.Embedder.MakeAsync(
            questions, isQuestion: true, PrivacyClass.Standard, builtInOnly: false, cancellationToken);
        Measure(host, agent, chunks, [.. questions.Zip(vectors)], report, time);
    }

    private static void Measure(ReeveHost host, string agent, int chunks, List<(string Text, float[] Vector)> queries,
        Report report, TimeProvider time)
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var begun = time.GetTimestamp();
        Nearest(host, agent, queries[0].Vector);
        var loaded = time.GetElapsedTime(begun);
        var grown = GC.GetTotalMemory(forceFullCollection: true) - before;
        Write(report, chunks, "load at the first search", $"{loaded.TotalMilliseconds:F0} ms; "
            + $"{host.Indexes.Bytes / 1e6:F1} MB in the index, the heap grew by {grown / 1e6:F1} MB");
        Write(report, chunks, "scan, 40 candidates", SpeedBench.Measure(
            queries, query => Nearest(host, agent, query.Vector), time));
        var words = SpeedBench.Measure(queries,
            query => host.Retriever.Search(host.Tenant, agent, query.Text, Limit), time);
        var both = SpeedBench.Measure(queries,
            query => host.Retriever.Search(host.Tenant, agent, query.Text, Limit, vector: query.Vector), time);
        Write(report, chunks, "search by words", words);
        Write(report, chunks, "search by words and vectors", both);
        Write(report, chunks, "the same, filter that fits 1 of 200 documents", SpeedBench.Measure(queries, query =>
            host.Retriever.Search(host.Tenant, agent, query.Text, Limit, filter: Rare, vector: query.Vector), time));
        Write(report, chunks, "recall of the ten nearest", Recall(host, agent, queries));
    }

    private static List<long> Nearest(ReeveHost host, string agent, float[] vector) => host.Database.Read(session =>
        host.Indexes.Nearest(session, host.Tenant, agent, SearchIndexStore.Find(session, host.Tenant, agent)!,
            vector, Candidates, null));

    /// <summary>Against all numbers as they are on the disk.</summary>
    private static string Recall(ReeveHost host, string agent, List<(string Text, float[] Vector)> queries)
    {
        var all = new Dictionary<long, float[]>();
        host.Database.Read(session =>
        {
            foreach (var document in VectorStore.Documents(session, host.Tenant, agent))
            {
                VectorStore.Read(session, host.Tenant, document, (key, vector) => all.Add(key, vector.ToArray()));
            }

            return true;
        });
        var (found, asked) = (0, 0);
        foreach (var (_, vector) in queries.Take(RecallQueries))
        {
            var exact = all.Select(pair => (pair.Key, Near: TensorPrimitives.Dot<float>(pair.Value, vector)))
                .OrderByDescending(static one => one.Near).Take(Limit).Select(static one => one.Key).ToHashSet();
            found += Nearest(host, agent, vector)
                .OrderByDescending(key => TensorPrimitives.Dot<float>(all[key], vector)).Take(Limit)
                .Count(exact.Contains);
            asked += exact.Count;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{found / (double)asked:F4}");
    }

    private static void Write(Report report, int chunks, string what, string result) => report.Line(
        string.Create(CultureInfo.InvariantCulture, $"| {chunks:N0} | {what} | {result} |"));
}
