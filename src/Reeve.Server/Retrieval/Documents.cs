using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using Reeve.Server.Audit;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval.Parsing;
using Reeve.Server.Retrieval.Vectors;
using Reeve.Server.Retrieval.Web;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// What the transaction that makes a document ready or failed also has to write, for those who want to hear of it.
/// </summary>
internal delegate Action<DbSession>? DocumentNews(TenantContext tenant, Document document);

/// <summary>
/// The documents of agents. A text is read, cut and indexed before anything is written, and then appears whole: it is
/// <c>ready</c> from its first moment. A file of another kind is stored and left to <see cref="DocumentJobs"/>.
/// </summary>
internal sealed class Documents(Database database, ReadyDocuments ready, DocumentWriter writer, DocumentJobs jobs,
    WaitingFiles waiting, IdGenerator ids, DocumentNews? news = null) : IDisposable
{
    internal const int NameCharactersMax = 255;
    internal const int TextCharactersMax = 2_000_000;
    private const int MetadataMembersMax = 64;
    private const int MetadataBytesMax = 16 * 1024;

    private static readonly JsonElement EmptyObject = JsonElement.Parse("{}");

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
            return new DocumentAddition(jobs.WithStep(present), Created: false);
        }

        var (mimeType, content) = await ReadAsync(added, cancellationToken);
        var now = writer.Now();
        var document = new Document
        {
            Id = ids.New(Id.Document),
            AgentId = agentId,
            Name = added.Name,
            MimeType = mimeType,
            Bytes = added.Bytes.Length,
            Sha256 = sha256,
            Status = content is null ? DocumentStatuses.Processing : DocumentStatuses.Ready,
            ChunkCount = content?.Ranges.Count ?? 0,
            PrivacyClass = added.PrivacyClass ?? PrivacyClass.Standard,
            IsSealed = added.PrivacyClass == PrivacyClass.Confidential,
            Metadata = added.Metadata ?? EmptyObject,
            CreatedAt = now,
            UpdatedAt = now,
            Page = added.Page,
        };
        return content is null
            ? await AddFileAsync(tenant, document, added.Bytes, cancellationToken)
            : await AddTextAsync(tenant, document, content);
    }

    private async Task<DocumentAddition> AddTextAsync(TenantContext tenant, Document document, DocumentContent content)
    {
        var chunks = writer.ToChunks(document.Id, content.Ranges);
        var postings = content.Postings;
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
        ready.Forget(tenant, document.AgentId);
        return addition;
    }

    private async Task<DocumentAddition> AddFileAsync(
        TenantContext tenant, Document document, ReadOnlyMemory<byte> file, CancellationToken cancellationToken)
    {
        var addition = await database.WriteAsync(session =>
        {
            var inserted = Insert(
                session, tenant, document, () => waiting.RequireRoom(session, tenant, document.Bytes));
            if (inserted.Created)
            {
                DocumentFileStore.Insert(session, tenant, document.Id, file, document.IsSealed);
            }

            return inserted;
        });
        ready.Forget(tenant, document.AgentId);
        jobs.Begin(tenant, addition.Document.Id);
        await jobs.WaitAsync(addition.Document.Id, cancellationToken);
        return addition with { Document = Get(tenant, addition.Document.Id) };
    }

    /// <summary>
    /// Puts new content under the id of a document: it is read first, and then takes the place of the old at once.
    /// With <paramref name="insteadOf"/>, only while the document still is of that page.
    /// </summary>
    internal async Task<Document> ReplaceAsync(TenantContext tenant, string id, NewDocument added,
        CancellationToken cancellationToken, WebPage? insteadOf = null)
    {
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(added.Bytes.Span));
        var present = Get(tenant, id);
        var (mimeType, read) = await ReadAsync(added, cancellationToken);
        var content = read ?? await ReadFileAsync(tenant, mimeType, added, cancellationToken);
        var chunks = writer.ToChunks(id, content.Ranges);
        var now = writer.Now();
        var tell = news?.Invoke(tenant, present with { Status = DocumentStatuses.Ready, UpdatedAt = now });
        var replaced = await database.WriteAsync(session =>
        {
            var document = Require(session, tenant, id);
            RequirePage(document, added.Page, insteadOf);
            if (DocumentStore.FindByHash(session, tenant, document.AgentId, sha256) is { } other && other.Id != id)
            {
                throw new ApiException(ApiErrorCodes.Conflict,
                    "The agent has these bytes as another document; delete that one, or change this one's content.");
            }

            var changed = Changed(session, tenant, document,
                new DocumentPatch(insteadOf is null ? added.Name : null, added.PrivacyClass, null),
                added.Metadata ?? document.Metadata) with
            {
                MimeType = mimeType,
                Bytes = added.Bytes.Length,
                Sha256 = sha256,
                Status = DocumentStatuses.Ready,
                Error = null,
                ChunkCount = content.Ranges.Count,
                UpdatedAt = now,
                Page = added.Page,
                Step = null,
            };
            DocumentWriter.Replace(session, tenant, changed, chunks, content.Postings);
            DocumentStore.UpdateContent(session, tenant, changed);
            DocumentStore.UpdatePage(session, tenant, id, changed.Page);
            tell?.Invoke(session);
            return changed;
        });
        ready.Forget(tenant, replaced.AgentId);
        return replaced;
    }

    private static void RequirePage(Document document, WebPage? page, WebPage? insteadOf)
    {
        if ((page is not null && document.IsSealed) || (insteadOf is not null && document.Page != insteadOf))
        {
            throw new ApiException(
                ApiErrorCodes.Conflict, "The document was changed while its page was fetched, and stays as it is now.");
        }
    }

    /// <summary>Writes how it stands with a document's page, unless that changed meanwhile.</summary>
    internal Task StampAsync(TenantContext tenant, string id, WebPage before, WebPage after) =>
        database.WriteAsync(session =>
        {
            if (DocumentStore.Find(session, tenant, id)?.Page == before)
            {
                DocumentStore.UpdatePage(session, tenant, id, after);
            }

            return true;
        });

    public void Dispose() => _reading.Dispose();

    internal Document Get(TenantContext tenant, string id) =>
        jobs.WithStep(database.Read(session => Require(session, tenant, id)));

    /// <summary>Newest first.</summary>
    internal IReadOnlyList<Document> List(
        TenantContext tenant, string agentId, string? status, string? after, int limit) =>
        database.Read(session => DocumentStore.List(session, tenant, agentId, status, after, limit))
            .ConvertAll(jobs.WithStep);

    /// <summary>The agent's documents of any status, for its <c>document_count</c>.</summary>
    internal long Count(TenantContext tenant, string agentId) =>
        database.Read(session => DocumentStore.CountOf(session, tenant, agentId));

    internal bool HasReady(TenantContext tenant, string agentId) => ready.Find(tenant, agentId).HasReady;

    /// <summary>True when what a run of the agent reads may be encrypted.</summary>
    internal bool HasSealed(TenantContext tenant, string agentId) => ready.Find(tenant, agentId).HasSealed;

    internal async Task<Document> PatchAsync(TenantContext tenant, string id, DocumentPatch patch)
    {
        var patched = await database.WriteAsync(session =>
        {
            var document = Require(session, tenant, id);
            var metadata = patch.ResetMetadata ? EmptyObject : document.Metadata;
            var changed = Changed(session, tenant, document, patch,
                patch.Metadata is { } given ? Bounded(Merge(metadata, given)) : metadata);
            if (changed.IsSealed && !document.IsSealed)
            {
                DocumentFileStore.Seal(session, tenant, id);
                VectorStore.Delete(session, tenant, id); // They lie open; others are made, and encrypted.
                DocumentStore.UpdatePage(session, tenant, id, null); // Its address is not asked any more.
                changed = changed with { Page = null };
            }

            return changed;
        });
        ready.Forget(tenant, patched.AgentId);
        if (patched.IsSealed && database.Read(session => DocumentStore.HasOpenChunks(session, tenant, id)))
        {
            await writer.SealAsync(tenant, id);
        }

        return jobs.WithStep(patched);
    }

    private Document Changed(
        DbSession session, TenantContext tenant, Document document, DocumentPatch patch, JsonElement metadata)
    {
        var changed = document with
        {
            Name = patch.Name ?? document.Name,
            PrivacyClass = patch.PrivacyClass ?? document.PrivacyClass,
            IsSealed = document.IsSealed || patch.PrivacyClass == PrivacyClass.Confidential,
            Metadata = metadata,
            UpdatedAt = writer.Now(),
        };
        DocumentStore.Update(session, tenant, changed);
        return changed;
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
            AuditLog.Append(session, tenant, AuditTypes.DocumentDeleted, document.Id, writer.Now(),
                AuditLog.Detail(("agent_id", document.AgentId)));
            return document;
        });
        ready.Forget(tenant, document.AgentId);
    }

    /// <summary>Part of the transaction that deletes an agent; <see cref="Forget"/> follows its commit.</summary>
    internal static void DeleteOfAgent(DbSession session, TenantContext tenant, string agentId)
    {
        SearchIndexStore.RemoveAgent(session, tenant, agentId);
        DocumentStore.DeleteOfAgent(session, tenant, agentId);
    }

    internal void Forget(TenantContext tenant, string agentId) => ready.Forget(tenant, agentId);

    /// <summary>Reads a failed document again.</summary>
    internal async Task<Document> RetryAsync(TenantContext tenant, string id)
    {
        await database.WriteAsync(session =>
        {
            var document = Require(session, tenant, id);
            if (document.Status != DocumentStatuses.Failed)
            {
                throw new ApiException(ApiErrorCodes.Conflict,
                    $"The document is {document.Status}; only a failed one can be tried again.");
            }

            waiting.RequireRoom(session, tenant, document.Bytes);
            DocumentStore.UpdateContent(session, tenant, document with
            {
                Status = DocumentStatuses.Processing,
                Error = null,
                UpdatedAt = writer.Now(),
            });
            return true;
        });
        var answer = Get(tenant, id);
        jobs.Begin(tenant, id);
        return answer;
    }

    /// <summary>In the order of the text, after the chunk named, which may be gone.</summary>
    internal IReadOnlyList<Chunk> Chunks(TenantContext tenant, string id, string? after, int limit) =>
        database.Read(session =>
        {
            Require(session, tenant, id);
            var position = after is null ? -1 : DocumentStore.PositionOf(session, tenant, id, after) ?? int.MaxValue;
            return DocumentStore.Chunks(session, tenant, id, position, limit);
        });

    /// <summary>The content is null when the parser has to read it.</summary>
    private async Task<(string MimeType, DocumentContent? Content)> ReadAsync(
        NewDocument added, CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            return Read(added);
        }
        finally
        {
            _reading.Release();
        }
    }

    private static (string MimeType, DocumentContent? Content) Read(NewDocument added)
    {
        var param = added.IsText ? "text" : "file";
        var text = added.IsText ? System.Text.Encoding.UTF8.GetString(added.Bytes.Span) : null;
        var mimeType = text is null ? null : TextFormat.TypeOf(text, added.Name);
        if (text is null)
        {
            (mimeType, text) = TextFormat.ReadFile(added.Bytes.Span, added.FileName ?? added.Name);
        }

        if (text is null)
        {
            return (mimeType!, null);
        }

        ExtractedText extracted;
        try
        {
            extracted = TextFormat.Extract(mimeType!, text);
        }
        catch (ApiException error) when (error.Param is null)
        {
            throw ApiException.Invalid(error.Message, param);
        }

        return extracted.Blocks.Count == 0
            ? throw ApiException.Invalid("The document has no text to answer from.", param)
            : (mimeType!, ContentOf(extracted));
    }

    private async Task<DocumentContent> ReadFileAsync(
        TenantContext tenant, string mimeType, NewDocument added, CancellationToken cancellationToken)
    {
        try
        {
            return ContentOf(await jobs.ReadAsync(tenant, mimeType, added.Bytes, cancellationToken));
        }
        catch (ParseException error)
        {
            throw ApiException.Invalid(error.Message, "file");
        }
    }

    private static DocumentContent ContentOf(ExtractedText text)
    {
        var ranges = Chunker.Split(text);
        return new DocumentContent(ranges, DocumentPostings.Of(ranges));
    }

    private static DocumentAddition Insert(
        DbSession session, TenantContext tenant, Document document, List<Chunk> chunks, DocumentPostings postings)
    {
        var inserted = Insert(session, tenant, document);
        if (inserted.Created)
        {
            DocumentWriter.Index(session, tenant, document,
                DocumentStore.NumberOf(session, tenant, document.Id)!.Value, chunks, postings);
        }

        return inserted;
    }

    private static DocumentAddition Insert(
        DbSession session, TenantContext tenant, Document document, Action? admit = null)
    {
        if (!DocumentStore.AgentExists(session, tenant, document.AgentId))
        {
            throw ApiException.NotFound("agent");
        }

        if (DocumentStore.FindByHash(session, tenant, document.AgentId, document.Sha256) is { } present)
        {
            return new DocumentAddition(present, Created: false);
        }

        admit?.Invoke();
        DocumentStore.Insert(session, tenant, document);
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
}
