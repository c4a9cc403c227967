using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Tools;

namespace Reeve.Server.Retrieval;

/// <summary>
/// A piece of a document's text. <c>Start</c> and <c>End</c> count Unicode scalar values of the extracted text; the
/// chunks
/// of a document tile it.
/// </summary>
internal sealed record Chunk
{
    internal required string Id { get; init; }

    internal required string DocumentId { get; init; }

    internal required int Index { get; init; }

    internal required string Text { get; init; }

    internal required int Start { get; init; }

    internal required int End { get; init; }

    internal int? Page { get; init; }

    /// <summary>The headings that the chunk stands under, outermost first.</summary>
    internal required IReadOnlyList<string> Headings { get; init; }
}

/// <summary>A chunk that a search found.</summary>
internal sealed record RetrievedChunk
{
    internal required Chunk Chunk { get; init; }

    /// <summary>The name of its document.</summary>
    internal required string Name { get; init; }

    /// <summary>The part of the best possible match that it reaches: above 0, at most 1, at most 4 decimals.</summary>
    internal required double Score { get; init; }

    /// <summary>The class of its document.</summary>
    internal required PrivacyClass PrivacyClass { get; init; }

    internal SourceRef ToSource() =>
        new(Chunk.DocumentId, Chunk.Id, Score, Name, Chunk.Page, Chunk.Start, Chunk.End);

    internal SourceContent ToContent() => new(Chunk.Id, Name, Chunk.Headings, Chunk.Text)
    {
        Position = (Chunk.DocumentId, Chunk.Index),
    };
}
