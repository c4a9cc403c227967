namespace Reeve.Server.Storage;

/// <summary>Every column that is encrypted in confidential rows; its name is covered by each value's tag.</summary>
internal static class ContentColumns
{
    internal const string EventPayload = "run_events.payload";
    internal const string RunInput = "runs.input";
    internal const string RunOutput = "runs.output";
    internal const string RunOutcome = "runs.outcome";
    internal const string RunUser = "runs.user";
    internal const string RunMetadata = "runs.metadata";
    internal const string Receipt = "receipts.document";
    internal const string ConversationTitle = "conversations.title";
    internal const string ConversationUser = "conversations.user";
    internal const string ConversationMetadata = "conversations.metadata";
    internal const string CopiedContent = "copied_messages.content";
    internal const string CopiedSources = "copied_messages.sources";
    internal const string DocumentName = "documents.name";
    internal const string DocumentMetadata = "documents.metadata";
    internal const string DocumentFile = "document_files.bytes";
    internal const string ChunkHeadings = "chunks.headings";
    internal const string ChunkText = "chunks.text";
    internal const string ChunkVector = "chunk_vectors.vector";
}
