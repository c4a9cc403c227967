using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference;

/// <summary>
/// A retrieved chunk as a part of a request's message. Adapters write it as text between marks; the built-in model
/// reads it as it is.
/// </summary>
internal sealed class SourceContent(string chunkId, string documentName, IReadOnlyList<string> headings, string text)
    : AIContent
{
    internal string ChunkId { get; } = chunkId;

    internal string DocumentName { get; } = documentName;

    internal IReadOnlyList<string> Headings { get; } = headings;

    internal string Text { get; } = text;
}
