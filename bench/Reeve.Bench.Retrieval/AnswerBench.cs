using System.Globalization;
using System.Text;

namespace Reeve.Bench.Retrieval;

/// <summary>What runs with <c>reeve/quote</c> answer, and when they decline: such a run cites nothing.</summary>
internal static class AnswerBench
{
    internal static async Task RunAsync(
        ReeveHost host, Corpus corpus, Report report, CancellationToken cancellationToken)
    {
        var agent = await host.NewAgentAsync($"Answers {corpus.Name}", cancellationToken);
        var passageOf = await host.UploadAsync(agent, corpus.Passages, cancellationToken);
        var (contained, cited, declined) = (0, 0, 0);
        var words = new List<int>();
        foreach (var query in corpus.Queries)
        {
            var answer = await host.AskAsync(agent, query.Text, cancellationToken);
            var normal = $" {Normal(answer.Text)} ";
            if (answer.Documents.Count == 0)
            {
                declined++;
                continue;
            }

            contained += query.Answers.Any(gold => normal.Contains($" {Normal(gold)} ", StringComparison.Ordinal))
                ? 1 : 0;
            cited += query.Grades.ContainsKey(passageOf[answer.Documents[0]]) ? 1 : 0;
            words.Add(answer.Text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length);
        }

        words.Sort();
        var count = corpus.Queries.Count;
        Write(report, corpus.Name, count, "gold answer contained", contained);
        Write(report, corpus.Name, count, "right passage cited first", cited);
        Write(report, corpus.Name, count, "answerable, declined", declined);
        var median = words.Count == 0 ? 0 : words[words.Count / 2];
        report.Line(string.Create(CultureInfo.InvariantCulture,
            $"| {corpus.Name} | {words.Count} | median words of an answer | {median} |"));
        if (corpus.Unanswerable.Count > 0)
        {
            Write(report, corpus.Name, corpus.Unanswerable.Count, "unanswerable by design, declined",
                await DeclinedAsync(host, agent, corpus.Unanswerable.Select(static query => query.Text),
                    cancellationToken));
        }

        if (corpus.Foreign.Count > 0)
        {
            Write(report, corpus.Name, corpus.Foreign.Count, "of another world, declined",
                await DeclinedAsync(host, agent, corpus.Foreign, cancellationToken));
        }

        await AskNeighboursAsync(host, corpus, report, cancellationToken);
    }

    /// <summary>The questions of each article to an agent that has the documents of the next one alone.</summary>
    private static async Task AskNeighboursAsync(
        ReeveHost host, Corpus corpus, Report report, CancellationToken cancellationToken)
    {
        var groups = corpus.Groups;
        var declined = 0;
        for (var i = 0; i < groups.Count && groups.Count > 1; i++)
        {
            var other = groups[(i + 1) % groups.Count];
            var agent = await host.NewAgentAsync($"{corpus.Name} {i}", cancellationToken);
            await host.UploadAsync(agent, corpus.Passages.Where(passage => passage.Group == other), cancellationToken);
            declined += await DeclinedAsync(host, agent,
                corpus.Queries.Where(query => query.Group == groups[i]).Select(static query => query.Text),
                cancellationToken);
        }

        if (groups.Count > 1)
        {
            Write(report, corpus.Name, corpus.Queries.Count, "of another article, declined", declined);
        }
    }

    private static async Task<int> DeclinedAsync(
        ReeveHost host, string agent, IEnumerable<string> questions, CancellationToken cancellationToken)
    {
        var declined = 0;
        foreach (var question in questions)
        {
            var answer = await host.AskAsync(agent, question, cancellationToken);
            declined += answer.Documents.Count == 0 ? 1 : 0;
        }

        return declined;
    }

    /// <summary>As SQuAD compares answers: lower case, without punctuation and articles, single spaces.</summary>
    private static string Normal(string text)
    {
        var letters = new StringBuilder();
        foreach (var character in text)
        {
            if (!char.IsPunctuation(character) && !char.IsSymbol(character))
            {
                letters.Append(char.ToLowerInvariant(character));
            }
        }

        return string.Join(' ', letters.ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)
            .Where(static word => word is not ("a" or "an" or "the")));
    }

    private static void Write(Report report, string corpus, int of, string what, int count) => report.Line(
        string.Create(CultureInfo.InvariantCulture,
            $"| {corpus} | {of} | {what} | {100.0 * count / Math.Max(1, of):F1} % |"));
}
