using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using Reeve.Server.Audit;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval.Parsing;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// What the transaction that makes a document ready or failed also has to write, for those who want to hear of it.
/// </summary>
internal delegate Action<DbSession>? DocumentNews(TenantContext tenant, Document document);

/// <summary>
/// The documents of agents. A document is read, cut and indexed before anything is written, and then appears whole: it
/// is
/// <c>ready</c> from its first moment.
/// </summary>
internal sealed class Documents(
    Database database, IdGenerator ids, TimeProvider time, DocumentNews? news = null) : IDisposable
{
    internal const int NameCharactersMax = 255;
    internal const int TextCharactersMax = 2_000_000;
    private const int MetadataMembersMax = 64;
    private const int MetadataBytesMax = 16 * 1024;

    private static readonly JsonElement EmptyObject = JsonElement.Parse("{}");

    private readonly ReadyDocuments _ready = new(database);

    // Reading a document keeps a core busy; the others stay free for runs.
    private readonly SemaphoreSlim _reading = new(Math.Max(1, Environment.ProcessorCount / 2));

    internal async Task<DocumentAddition> AddAsync(
        TenantContext tenant, string agentId, NewDocument added, CancellationToken cancellationToken = default)
    {
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(added.Bytes.Span));
        var present = database.Read(session => DocumentStore.AgentExists(session, tenant, agentId)
            ? DocumentStore.FindByHash(session, tenant, agentId, sha256)
            : throw ApiException.NotFound("agent"));
        if (present is not null)
        {
            return new DocumentAddition(present, Created: false);
        }

        var (mimeType, ranges, postings) = await ReadAsync(added, cancellationToken);
        var now = Now();
        var document = new Document
        {
            Id = ids.New(Id.Document),
            AgentId = agentId,
            Name = added.Name,
            MimeType = mimeType,
            Bytes = added.Bytes.Length,
            Sha256 = sha256,
            Status = DocumentStatuses.Ready,
            ChunkCount = ranges.Count,
            PrivacyClass = added.PrivacyClass,
            IsSealed = added.PrivacyClass == PrivacyClass.Confidential,
            Metadata = added.Metadata ?? EmptyObject,
            CreatedAt = now,
            UpdatedAt = now,
        };
        var chunks = ranges.Select((range, index) => ToChunk(document.Id, index, range)).ToList();
        var tell = news?.Invoke(tenant, document);
        var addition = await database.WriteAsync(session =>
        {
            var inserted = Insert(session, tenant, document, chunks, postings);
            if (inserted.Created)
            {
                tell?.Invoke(session);
            }

            return inserted;
        });
        _ready.Forget(tenant, agentId);
        return addition;
    }

    public void Dispose() => _reading.Dispose();

    internal Document Get(TenantContext tenant, string id) => database.Read(session => Require(session, tenant, id));

    /// <summary>Newest first.</summary>
    internal IReadOnlyList<Document> List(
        TenantContext tenant, string agentId, string? status, string? after, int limit) =>
        database.Read(session => DocumentStore.List(session, tenant, agentId, status, after, limit));

    /// <summary>The agent's documents of any status, for its <c>document_count</c>.</summary>
    internal long Count(TenantContext tenant, string agentId) =>
        database.Read(session => DocumentStore.CountOf(session, tenant, agentId));

    internal bool HasReady(TenantContext tenant, string agentId) => _ready.Find(tenant, agentId).HasReady;

    /// <summary>True when what a run of the agent reads may be encrypted.</summary>
    internal bool HasSealed(TenantContext tenant, string agentId) => _ready.Find(tenant, agentId).HasSealed;

    internal async Task<Document> PatchAsync(TenantContext tenant, string id, DocumentPatch patch)
    {
        var patched = await database.WriteAsync(session =>
        {
            var document = Require(session, tenant, id);
            var metadata = patch.ResetMetadata ? EmptyObject : document.Metadata;
            var changed = document with
            {
                Name = patch.Name ?? document.Name,
                PrivacyClass = patch.PrivacyClass ?? document.PrivacyClass,
                IsSealed = document.IsSealed || patch.PrivacyClass == PrivacyClass.Confidential,
                Metadata = patch.Metadata is { } given ? Bounded(Merge(metadata, given)) : metadata,
                UpdatedAt = Now(),
            };
            DocumentStore.Update(session, tenant, changed);
            if (changed.IsSealed && !document.IsSealed)
            {
                DocumentStore.SealChunks(session, tenant, id);
                SearchIndexStore.Blind(
                    session, tenant, document.AgentId, DocumentStore.NumberOf(session, tenant, id)!.Value);
            }

            return changed;
        });
        _ready.Forget(tenant, patched.AgentId);
        return patched;
    }

    /// <summary>Erases the text, the chunks and the index rows; when it returns nothing of them is left.</summary>
    internal async Task DeleteAsync(TenantContext tenant, string id)
    {
        var document = await database.WriteAsync(session =>
        {
            var document = Require(session, tenant, id);
            var number = DocumentStore.NumberOf(session, tenant, id)!.Value;
            SearchIndexStore.Remove(session, tenant, document.AgentId, number, document.ChunkCount);
            DocumentStore.Delete(session, tenant, id);
            AuditLog.Append(session, tenant, AuditTypes.DocumentDeleted, document.Id, Now(),
                AuditLog.Detail(("agent_id", document.AgentId)));
            return document;
        });
        _ready.Forget(tenant, document.AgentId);
    }

    /// <summary>Part of the transaction that deletes an agent; <see cref="Forget"/> follows its commit.</summary>
    internal static void DeleteOfAgent(DbSession session, TenantContext tenant, string agentId)
    {
        SearchIndexStore.RemoveAgent(session, tenant, agentId);
        DocumentStore.DeleteOfAgent(session, tenant, agentId);
    }

    internal void Forget(TenantContext tenant, string agentId) => _ready.Forget(tenant, agentId);

    /// <summary>Reads a failed document again.</summary>
    internal Document Retry(TenantContext tenant, string id)
    {
        var document = Get(tenant, id);
        throw new ApiException(ApiErrorCodes.Conflict,
            $"The document is {document.Status}; only a failed one can be tried again.");
    }

    /// <summary>In the order of the text, after the chunk named, which may be gone.</summary>
    internal IReadOnlyList<Chunk> Chunks(TenantContext tenant, string id, string? after, int limit) =>
        database.Read(session =>
        {
            Require(session, tenant, id);
            var position = after is null ? -1 : DocumentStore.PositionOf(session, tenant, id, after) ?? int.MaxValue;
            return DocumentStore.Chunks(session, tenant, id, position, limit);
        });

    private async Task<(string MimeType, List<ChunkRange> Ranges, DocumentPostings Postings)> ReadAsync(
        NewDocument added, CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            var (mimeType, ranges) = Read(added);
            return (mimeType, ranges, DocumentPostings.Of(ranges));
        }
        finally
        {
            _reading.Release();
        }
    }

    private static (string MimeType, List<ChunkRange> Ranges) Read(NewDocument added)
    {
        var param = added.IsText ? "text" : "file";
        string mimeType;
        string text;
        if (added.IsText)
        {
            text = System.Text.Encoding.UTF8.GetString(added.Bytes.Span);
            mimeType = TextFormat.TypeOf(text, added.Name);
        }
        else
        {
            (mimeType, var found) = TextFormat.ReadFile(added.Bytes.Span, added.Name);
            text = found ?? throw TextFormat.Refused(mimeType);
        }

        ExtractedText extracted;
        try
        {
            extracted = TextFormat.Extract(mimeType, text);
        }
        catch (ApiException error) when (error.Param is null)
        {
            throw ApiException.Invalid(error.Message, param);
        }

        return extracted.Blocks.Count == 0
            ? throw ApiException.Invalid("The document has no text to answer from.", param)
            : (mimeType, Chunker.Split(extracted));
    }

    private Chunk ToChunk(string documentId, int index, ChunkRange range) => new()
    {
        Id = ids.New(Id.Chunk),
        DocumentId = documentId,
        Index = index,
        Text = range.Text,
        Start = range.Start,
        End = range.End,
        Headings = range.Headings,
        Page = range.Page,
    };

    private static DocumentAddition Insert(
        DbSession session, TenantContext tenant, Document document, List<Chunk> chunks, DocumentPostings postings)
    {
        if (!DocumentStore.AgentExists(session, tenant, document.AgentId))
        {
            throw ApiException.NotFound("agent");
        }

        if (DocumentStore.FindByHash(session, tenant, document.AgentId, document.Sha256) is { } present)
        {
            return new DocumentAddition(present, Created: false);
        }

        var number = DocumentStore.Insert(session, tenant, document);
        foreach (var chunk in chunks)
        {
            DocumentStore.InsertChunk(session, tenant, chunk, document.IsSealed);
        }

        SearchIndexStore.Add(session, tenant, document.AgentId, number, chunks.Count,
            document.IsSealed ? postings.Blinded(session.ContentKey(tenant), document.AgentId) : postings);
        return new DocumentAddition(document, Created: true);
    }

    private static Document Require(DbSession session, TenantContext tenant, string id) =>
        DocumentStore.Find(session, tenant, id) ?? throw ApiException.NotFound("document");

    private static JsonElement Bounded(JsonElement metadata) =>
        metadata.GetPropertyCount() > MetadataMembersMax
        || System.Text.Encoding.UTF8.GetByteCount(metadata.GetRawText()) > MetadataBytesMax
            ? throw ApiException.Invalid("metadata would have more than 64 members or 16 KiB of JSON.", "metadata")
            : metadata;

    private static JsonElement Merge(JsonElement current, JsonElement given)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            foreach (var member in current.EnumerateObject().Where(held => !given.TryGetProperty(held.Name, out _)))
            {
                member.WriteTo(writer);
            }

            foreach (var member in given.EnumerateObject().Where(set => set.Value.ValueKind != JsonValueKind.Null))
            {
                member.WriteTo(writer);
            }

            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.WrittenSpan);
    }

    // Whole milliseconds, as they are stored: the answer to a POST and to the GET after it are the same.
    private DateTimeOffset Now() =>
        DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());
}
