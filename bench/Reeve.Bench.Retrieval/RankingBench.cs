using System.Globalization;

namespace Reeve.Bench.Retrieval;

/// <summary>Where the right passage stands in what <c>POST /v1/agents/{id}/search</c> answers.</summary>
internal static class RankingBench
{
    internal static async Task RunAsync(
        ReeveHost host, Corpus corpus, Report report, CancellationToken cancellationToken)
    {
        var agent = await host.NewAgentAsync($"Ranking {corpus.Name}", cancellationToken);
        var passageOf = await host.UploadAsync(agent, corpus.Passages, cancellationToken);
        using var plain = new PlainFts(null);
        plain.Add(corpus.Passages.Select(static passage => passage.Text));
        var ours = new Dictionary<Query, IReadOnlyList<string>>();
        var theirs = new Dictionary<Query, IReadOnlyList<string>>();
        foreach (var query in corpus.Queries)
        {
            var found = await host.SearchAsync(agent, query.Text, cancellationToken);
            ours[query] = found.ConvertAll(document => passageOf[document]);
            theirs[query] = plain.Search(query.Text).ConvertAll(index => corpus.Passages[index].Id);
        }

        Write(report, corpus.Name, corpus.Queries, ours, theirs);
        var groups = corpus.Groups;
        if (groups.Count > 1)
        {
            // What was chosen by looking at one half must hold on the other.
            for (var half = 0; half < 2; half++)
            {
                var own = groups.Where((_, index) => index % 2 == half).ToHashSet();
                var queries = corpus.Queries.Where(query => own.Contains(query.Group)).ToList();
                Write(report, $"{corpus.Name}, {(half == 0 ? "articles to choose by" : "articles to confirm by")}",
                    queries, ours, theirs);
            }
        }
    }

    private static void Write(Report report, string name, IReadOnlyCollection<Query> queries,
        Dictionary<Query, IReadOnlyList<string>> ours, Dictionary<Query, IReadOnlyList<string>> theirs)
    {
        WriteRow(report, name, "Reeve", RankScores.Of(queries, query => ours[query]));
        WriteRow(report, name, "plain FTS5", RankScores.Of(queries, query => theirs[query]));
    }

    private static void WriteRow(Report report, string name, string who, RankScores scores) => report.Line(
        string.Create(CultureInfo.InvariantCulture,
            $"| {name} | {scores.Queries} | {who} | {scores.RecallAtOne:F3} | {scores.RecallAtFive:F3} | "
            + $"{scores.ReciprocalRank:F3} | {scores.Gain:F3} |"));
}
