using System.Collections.Concurrent;
using Reeve.Server.Http;
using Reeve.Server.Retrieval.Parsing;
using Reeve.Server.Retrieval.Parsing.Child;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// Reads the files of documents that are <c>processing</c>:
/// <list type="number">
/// <item>the document and its file are durable before a job begins;</item>
/// <item>the parser reads the file when there is one free;</item>
/// <item>one transaction writes chunks, index and status, if the document still is what was read.</item>
/// </list>
/// A job that a stop or a crash ended begins again at the next start, and so does the encryption of a document that
/// became confidential.
/// </summary>
internal sealed partial class DocumentJobs(
    Database database, Parser parser, WaitingFiles waiting, DocumentWriter writer, TimeProvider time,
    ILogger<DocumentJobs> logger)
    : IHostedService, IDisposable
{
    /// <summary>How long who adds a file waits for it; most are read within this.</summary>
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, Job> _jobs = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stop = new();
    private Task _sealing = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var (tenant, id) in database.Read(DocumentFileStore.Waiting))
        {
            Begin(tenant, id);
        }

        _sealing = Task.Run(SealAsync, CancellationToken.None);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_jobs.Values.Select(static job => job.Done).Append(_sealing));
    }

    public void Dispose() => _stop.Dispose();

    /// <summary>Begins to read a document, unless that has begun; the file is stored.</summary>
    internal void Begin(TenantContext tenant, string id)
    {
        var job = new Job();
        if (_jobs.TryAdd(id, job))
        {
            job.Done = Task.Run(() => RunAsync(tenant, id, job), CancellationToken.None);
        }
    }

    /// <summary>Waits until the document is ready or failed, but not long.</summary>
    internal async Task WaitAsync(string id, CancellationToken cancellationToken)
    {
        if (_jobs.TryGetValue(id, out var job))
        {
            try
            {
                await job.Ended.Task.WaitAsync(Moment, time, cancellationToken);
            }
            catch (TimeoutException)
            {
                // It goes on; GET says how far it is.
            }
        }
    }

    /// <summary>The document as it stands, with its step while it is processing.</summary>
    internal Document WithStep(Document document) => document.Status != DocumentStatuses.Processing ? document
        : document with
        {
            Step = _jobs.TryGetValue(document.Id, out var job)
                ? job.Step : new DocumentStep(DocumentStages.Queued, null),
        };

    /// <summary>Reads a file at once, for who waits for it.</summary>
    /// <exception cref="ParseException">Why it has no text.</exception>
    /// <exception cref="ApiException">429: too many files of the account wait.</exception>
    internal async Task<ExtractedText> ReadAsync(TenantContext tenant, string mimeType, ReadOnlyMemory<byte> file,
        CancellationToken cancellationToken)
    {
        using var held = waiting.Hold(tenant, file.Length);
        return await parser.ReadAsync(tenant.AccountId, mimeType, () => file, static _ => { }, cancellationToken);
    }

    private async Task RunAsync(TenantContext tenant, string id, Job job)
    {
        try
        {
            while (!await ReadAsync(tenant, id, job))
            {
                // It was given another file meanwhile.
            }

            _jobs.TryRemove(id, out _);
            if (IsWaiting(tenant, id))
            {
                Begin(tenant, id); // Somebody tried it again while this job was ending.
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The next start goes on.
        }
#pragma warning disable CA1031 // One document must not stop the others; it goes on at the next start.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogFault(id, error);
        }
        finally
        {
            _jobs.TryRemove(new KeyValuePair<string, Job>(id, job));
            job.Ended.TrySetResult();
        }
    }

    private async Task SealAsync()
    {
        foreach (var (tenant, id) in database.Read(DocumentStore.HalfSealed))
        {
            if (_stop.IsCancellationRequested)
            {
                return;
            }

            try
            {
                await writer.SealAsync(tenant, id);
            }
#pragma warning disable CA1031 // One document must not stop the others; it goes on at the next start.
            catch (Exception error)
#pragma warning restore CA1031
            {
                LogHalfSealed(id, error);
            }
        }
    }

    private bool IsWaiting(TenantContext tenant, string id) => database.Read(session =>
        DocumentStore.Find(session, tenant, id) is { Status: DocumentStatuses.Processing });

    /// <summary>False: the document changed while it was read, and has to be read again.</summary>
    private async Task<bool> ReadAsync(TenantContext tenant, string id, Job job)
    {
        if (database.Read(session => DocumentStore.Find(session, tenant, id)) is not
            { Status: DocumentStatuses.Processing } document)
        {
            return true;
        }

        DocumentContent content;
        try
        {
            var text = await parser.ReadAsync(tenant.AccountId, document.MimeType, () =>
            {
                job.Step = new DocumentStep(DocumentStages.Parsing, null);
                return database.Read(session => DocumentFileStore.Find(
                    session, tenant, id, DocumentStore.Find(session, tenant, id)?.IsSealed ?? false))
                    ?? throw ParserFaults.Unavailable();
            }, progress => job.Step = new DocumentStep(DocumentStages.Parsing, progress), _stop.Token);
            job.Step = new DocumentStep(DocumentStages.Indexing, null);
            var ranges = Chunker.Split(text);
            content = new DocumentContent(ranges, DocumentPostings.Of(ranges));
        }
        catch (ParseException error)
        {
            return await writer.FailAsync(tenant, document, new DocumentError(error.Code, error.Message));
        }

        return await writer.CompleteAsync(tenant, document, content);
    }

    private sealed class Job
    {
        internal TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal Task Done { get; set; } = Task.CompletedTask;

        internal volatile DocumentStep Step = new(DocumentStages.Queued, null);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Reading the document {DocumentId} failed.")]
    private partial void LogFault(string documentId, Exception error);

    [LoggerMessage(Level = LogLevel.Error, Message = "Encrypting the document {DocumentId} failed.")]
    private partial void LogHalfSealed(string documentId, Exception error);
}
