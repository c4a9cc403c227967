namespace Reeve.Bench.Retrieval;

/// <summary>All parts in their order, each on an empty data folder that is deleted afterwards.</summary>
internal sealed class RetrievalSuite(RetrievalOptions options, TimeProvider time)
{
    private readonly Report _report = new(Console.Out);

    internal async Task RunAsync(CancellationToken cancellationToken)
    {
        var machine = await Machine.ReadAsync(options.Root, time, cancellationToken);
        _report.Line($"Commit {machine.Commit}, {machine.Date}, {machine.Processor}, one core,"
            + $" {machine.DotNet}.");
        var corpora = new List<Corpus> { OwnCorpora.Handbook(), OwnCorpora.Abstracts() };
        if (File.Exists(options.SquadFile))
        {
            corpora.Insert(0, SquadFile.Read(options.SquadFile));
        }
        else
        {
            _report.Line("SQuAD left out: its file is not there (--squad FILE).");
        }

        if (options.Has("ranking"))
        {
            Head("| questions | number | | R@1 | R@5 | MRR@10 | nDCG@10 |", "|---|--:|---|--:|--:|--:|--:|");
            await OnHostAsync((host, _) => EachAsync(corpora,
                corpus => RankingBench.RunAsync(host, corpus, _report, cancellationToken)), cancellationToken);
        }

        if (options.Has("answers"))
        {
            Head("| questions | number | what `reeve/quote` does | |", "|---|--:|---|--:|");
            await OnHostAsync((host, _) => EachAsync(corpora.Where(static corpus => corpus.Name != "abstracts"),
                corpus => AnswerBench.RunAsync(host, corpus, _report, cancellationToken)), cancellationToken);
        }

        if (options.Has("speed"))
        {
            // The compiler of the runtime has to be done with what is measured.
            await OnHostAsync((host, folder) =>
                SpeedBench.RunAsync(host, folder, 2_000, new Report(null), time, cancellationToken), cancellationToken);
            Head("| chunks | what | | |", "|--:|---|---|---|");
            await EachAsync<int>(options.Quick ? [1_000, 10_000] : [1_000, 10_000, 100_000], chunks => OnHostAsync(
                (host, folder) => SpeedBench.RunAsync(host, folder, chunks, _report, time, cancellationToken),
                cancellationToken));
        }

        if (options.Has("vectors"))
        {
            await RunVectorsAsync(corpora, cancellationToken);
        }

        await _report.SaveAsync(options.MarkdownFile, cancellationToken);
    }

    private async Task RunVectorsAsync(List<Corpus> corpora, CancellationToken cancellationToken)
    {
        if (options.Embeddings is not null)
        {
            Head("| questions | number | share of vectors | R@1 | R@5 | MRR@10 | nDCG@10 |",
                "|---|--:|--:|--:|--:|--:|--:|");
            await OnHostAsync((host, _) => EachAsync(corpora,
                corpus => FusionBench.RunAsync(host, corpus, _report, time, cancellationToken)), cancellationToken,
                options.Embeddings);
        }

        await OnHostAsync((host, _) => VectorBench.RunAsync(host, 2_000, new Report(null), time, cancellationToken),
            cancellationToken, SyntheticEmbeddings.Id);
        Head("| chunks | what | |", "|--:|---|---|");
        await EachAsync<int>(options.Quick ? [1_000, 10_000] : [1_000, 10_000, 100_000], chunks => OnHostAsync(
            (host, _) => VectorBench.RunAsync(host, chunks, _report, time, cancellationToken), cancellationToken,
            SyntheticEmbeddings.Id));
    }

    private static async Task EachAsync<T>(IEnumerable<T> items, Func<T, Task> run)
    {
        foreach (var item in items)
        {
            await run(item);
        }
    }

    private void Head(string names, string rule)
    {
        _report.Line("");
        _report.Line(names);
        _report.Line(rule);
    }

    private async Task OnHostAsync(
        Func<ReeveHost, string, Task> run, CancellationToken cancellationToken, string? embeddings = null)
    {
        var folder = Path.Combine(options.WorkFolder, $"retrieval-{Environment.ProcessId}");
        try
        {
            await using var host = await ReeveHost.StartAsync(
                Path.Combine(folder, "data"), cancellationToken, embeddings);
            await run(host, folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
