using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>What was read from a file: its chunks and what they add to the index.</summary>
internal sealed record DocumentContent(IReadOnlyList<ChunkRange> Ranges, DocumentPostings Postings);

/// <summary>Writes what came of reading a document's file, in one transaction with those who hear of it.</summary>
internal sealed class DocumentWriter(
    Database database, ReadyDocuments ready, IdGenerator ids, TimeProvider time, DocumentNews? news = null)
{
    /// <summary>The writer serves everybody, so a long work gives way to others after so many rows.</summary>
    private const int ChunksAStep = 250;

    /// <summary>False: the document is no longer the one that was read.</summary>
    internal async Task<bool> CompleteAsync(TenantContext tenant, Document document, DocumentContent content)
    {
        var done = document with
        {
            Status = DocumentStatuses.Ready,
            ChunkCount = content.Ranges.Count,
            Error = null,
            UpdatedAt = Now(),
        };
        var chunks = ToChunks(document.Id, content.Ranges);
        return await EndAsync(
            tenant, done, (session, current) => Put(session, tenant, current, chunks, content.Postings));
    }

    /// <summary>Keeps the file, for another try. False: the document is no longer the one that was read.</summary>
    internal Task<bool> FailAsync(TenantContext tenant, Document document, DocumentError error) => EndAsync(
        tenant, document with { Status = DocumentStatuses.Failed, Error = error, UpdatedAt = Now() }, null);

    /// <summary>Puts other content in the place of what a document has.</summary>
    internal static void Replace(
        DbSession session, TenantContext tenant, Document document, List<Chunk> chunks, DocumentPostings postings)
    {
        var number = DocumentStore.NumberOf(session, tenant, document.Id)!.Value;
        var before = DocumentStore.Find(session, tenant, document.Id)!;
        SearchIndexStore.Remove(session, tenant, document.AgentId, number, before.ChunkCount);
        Put(session, tenant, document, chunks, postings);
    }

    /// <summary>
    /// Encrypts what a document had before it became confidential: its terms, then its chunks, in steps, each a
    /// transaction. Until the last one the document is searched, read and erased as ever; what a crash leaves open,
    /// the next start finds by its open chunks.
    /// </summary>
    internal async Task SealAsync(TenantContext tenant, string id)
    {
        for (var part = 0; await BlindAsync(tenant, id, part); part++)
        {
            // The next terms.
        }

        while (await database.WriteAsync(session =>
            DocumentStore.Find(session, tenant, id) is { IsSealed: true }
            && DocumentStore.SealChunks(session, tenant, id, ChunksAStep)))
        {
            // The next chunks.
        }
    }

    internal List<Chunk> ToChunks(string documentId, IEnumerable<ChunkRange> ranges) =>
        [.. ranges.Select((range, index) => new Chunk
        {
            Id = ids.New(Id.Chunk),
            DocumentId = documentId,
            Index = index,
            Text = range.Text,
            Start = range.Start,
            End = range.End,
            Headings = range.Headings,
            Page = range.Page,
        })];

    /// <summary>Adds chunks to a document that is in the table, and to the index.</summary>
    internal static void Index(DbSession session, TenantContext tenant, Document document, long number,
        List<Chunk> chunks, DocumentPostings postings)
    {
        foreach (var chunk in chunks)
        {
            DocumentStore.InsertChunk(session, tenant, chunk, document.IsSealed);
        }

        SearchIndexStore.Add(session, tenant, document.AgentId, number, chunks.Count,
            document.IsSealed ? postings.Blinded(session.ContentKey(tenant), document.AgentId) : postings);
    }

    private Task<bool> BlindAsync(TenantContext tenant, string id, int part) => database.WriteAsync(session =>
        DocumentStore.Find(session, tenant, id) is { IsSealed: true } document
        && SearchIndexStore.Blind(session, tenant, document.AgentId,
            DocumentStore.NumberOf(session, tenant, id)!.Value, part));

    private static void Put(
        DbSession session, TenantContext tenant, Document document, List<Chunk> chunks, DocumentPostings postings)
    {
        DocumentStore.DeleteContent(session, tenant, document.Id);
        Index(session, tenant, document, DocumentStore.NumberOf(session, tenant, document.Id)!.Value, chunks, postings);
    }

    private async Task<bool> EndAsync(
        TenantContext tenant, Document ended, Action<DbSession, Document>? put)
    {
        var tell = news?.Invoke(tenant, ended);
        var isSame = await database.WriteAsync(session =>
        {
            if (DocumentStore.Find(session, tenant, ended.Id) is not { } current)
            {
                return true; // It was deleted.
            }

            if (current.Status != DocumentStatuses.Processing || current.Sha256 != ended.Sha256)
            {
                return false;
            }

            put?.Invoke(session, current); // As it is now: it may have become confidential.
            DocumentStore.UpdateContent(session, tenant, ended);
            tell?.Invoke(session);
            return true;
        });
        ready.Forget(tenant, ended.AgentId);
        return isSame;
    }

    // Whole milliseconds, as they are stored: the answer to a POST and to the GET after it are the same.
    internal DateTimeOffset Now() =>
        DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());
}
