namespace Reeve.Bench.Retrieval;

/// <summary>A text that is uploaded as a document of its own, so that the document found tells the passage.</summary>
internal sealed record Passage(string Id, string Group, string Text);

/// <summary>A question or topic: the passages that concern it with their grade (2 just this, 1 touches it).</summary>
internal sealed record Query(
    string Text, string Group, IReadOnlyDictionary<string, int> Grades, IReadOnlyList<string> Answers);

/// <summary>
/// Passages with what is asked of them. <c>Unanswerable</c> looks as if the passages answered it and they do not;
/// <c>Foreign</c> is of another world.
/// </summary>
internal sealed record Corpus(string Name, IReadOnlyList<Passage> Passages, IReadOnlyList<Query> Queries)
{
    internal IReadOnlyList<Query> Unanswerable { get; init; } = [];

    internal IReadOnlyList<string> Foreign { get; init; } = [];

    internal IReadOnlyList<string> Groups => [.. Passages.Select(static passage => passage.Group).Distinct()];
}
