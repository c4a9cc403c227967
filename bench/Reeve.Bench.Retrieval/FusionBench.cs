using System.Globalization;
using System.Numerics.Tensors;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval.Vectors;

namespace Reeve.Bench.Retrieval;

/// <summary>
/// How well passages are found by words, by the vectors of a local model, and by both with different shares.
/// </summary>
internal static class FusionBench
{
    private static readonly double[] Shares = [0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1];
    private static readonly TimeSpan PollEvery = TimeSpan.FromMilliseconds(50);

    internal static async Task RunAsync(
        ReeveHost host, Corpus corpus, Report report, TimeProvider time, CancellationToken cancellationToken)
    {
        var agent = await host.NewAgentAsync($"Fusion {corpus.Name}", cancellationToken);
        var passageOf = await host.UploadAsync(agent, corpus.Passages, cancellationToken);
        while (host.Database.Read(static session =>
            session.Count("SELECT count(*) FROM documents WHERE is_embedded = 0")) > 0)
        {
            await Task.Delay(PollEvery, time, cancellationToken);
        }

        var vectors = new Dictionary<Query, float[]>();
        foreach (var query in corpus.Queries)
        {
            vectors.Add(query, await VectorOfAsync(host, query.Text, cancellationToken));
        }

        foreach (var share in Shares)
        {
            host.Retriever.NearnessShare = share;
            var scores = RankScores.Of(corpus.Queries, query => [.. host.Retriever
                .Search(host.Tenant, agent, query.Text, 20, vector: vectors[query])
                .Select(found => passageOf[found.Chunk.DocumentId]).Distinct().Take(RankScores.Depth)]);
            report.Line(string.Create(CultureInfo.InvariantCulture,
                $"| {corpus.Name} | {scores.Queries} | {share:F2} | {scores.RecallAtOne:F3} | "
                + $"{scores.RecallAtFive:F3} | {scores.ReciprocalRank:F3} | {scores.Gain:F3} |"));
        }

        host.Retriever.NearnessShare = Fusion.NearnessShare;
        await WriteNearnessAsync(host, corpus, vectors, report, cancellationToken);
    }

    /// <summary>How near the passage is that answers, another, and any to what belongs elsewhere.</summary>
    private static async Task WriteNearnessAsync(
        ReeveHost host, Corpus corpus, Dictionary<Query, float[]> vectors, Report report,
        CancellationToken cancellationToken)
    {
        var chunks = new List<float[]>();
        foreach (var passage in corpus.Passages)
        {
            chunks.Add((await host.Embedder.MakeAsync([passage.Text], isQuestion: false, PrivacyClass.Standard,
                builtInOnly: false, cancellationToken))[0]);
        }

        var scale = host.Embedder.Scale!;
        double Near(float[] query, int passage) =>
            scale.NearnessOf(TensorPrimitives.Dot<float>(query, chunks[passage]));
        var right = corpus.Queries.Select(query => Near(vectors[query], corpus.Passages.ToList()
            .FindIndex(passage => query.Grades.GetValueOrDefault(passage.Id) == 2))).Order().ToList();
        var random = corpus.Queries.Select((query, at) =>
            Near(vectors[query], (at * 7_919) % chunks.Count)).Order().ToList();
        report.Line(string.Create(CultureInfo.InvariantCulture,
            $"| {corpus.Name} | | {scale.Floor:F3} to {scale.Top:F3} "
            + $"| right passage: {Parts(right)} | any: {Parts(random)} |"));
        if (corpus.Foreign.Count > 0)
        {
            var foreign = new List<double>();
            foreach (var question in corpus.Foreign)
            {
                var vector = await VectorOfAsync(host, question, cancellationToken);
                foreign.Add(Enumerable.Range(0, chunks.Count).Max(passage => Near(vector, passage)));
            }

            foreign.Sort();
            report.Line($"| {corpus.Name} | | | the nearest to a question of another world: {Parts(foreign)} | |");
        }
    }

    private static string Parts(List<double> sorted) => string.Create(CultureInfo.InvariantCulture,
        $"p5 {sorted[sorted.Count / 20]:F2}, p50 {sorted[sorted.Count / 2]:F2}, "
        + $"p95 {sorted[sorted.Count * 19 / 20]:F2}");

    private static async Task<float[]> VectorOfAsync(
        ReeveHost host, string question, CancellationToken cancellationToken) => (await host.Embedder.MakeAsync(
            [question], isQuestion: true, PrivacyClass.Standard, builtInOnly: false, cancellationToken))[0];
}
