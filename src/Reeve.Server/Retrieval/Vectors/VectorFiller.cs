using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval.Vectors;

/// <summary>
/// Makes the vectors of ready documents that lack some, a batch at a time:
/// <list type="number">
/// <item>read some chunks without a vector, of one account and class;</item>
/// <item>have their vectors made, which no transaction waits for;</item>
/// <item>one transaction writes them, for the chunks that are still there.</item>
/// </list>
/// New documents, old data, another model, a provider that was away and a crash are all the same to it: what has no
/// vector gets one, and until then it is found by its words.
/// </summary>
internal sealed partial class VectorFiller(
    Database database, Embedder embedder, ReadyDocuments ready, TimeProvider time, ILogger<VectorFiller> logger)
    : BackgroundService
{
    /// <summary>Chunks in a batch, and documents that are looked at for one.</summary>
    private const int BatchMax = 64;

    /// <summary>So many documents in a row that the provider refuses mean that it refuses all.</summary>
    private const int RefusedInARowMax = 3;

    private const int PutOffMax = 10_000;

    private static readonly TimeSpan NapMax = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan RetryMin = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan RetryMax = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan PutOffFor = TimeSpan.FromHours(1);

    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Dictionary<long, DateTimeOffset> _putOff = [];
    private int _refusedInARow;

    public override void Dispose()
    {
        _wake.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!embedder.IsConfigured)
        {
            return;
        }

        await Task.Yield();
        ready.Changed += Wake;
        try
        {
            for (var retry = RetryMin; ; retry = await FillAsync(retry, stoppingToken))
            {
                // Until something is to be done, or was in vain and is tried again.
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The next start goes on.
        }
        finally
        {
            ready.Changed -= Wake;
        }
    }

    private void Wake()
    {
        lock (_wake)
        {
            if (_wake.CurrentCount == 0)
            {
                _wake.Release();
            }
        }
    }

    /// <summary>Makes what there is to make, then waits; answers how long to wait after the next failure.</summary>
    private async Task<TimeSpan> FillAsync(TimeSpan retry, CancellationToken cancellationToken)
    {
        try
        {
            await MakeAllAsync(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw;
        }
#pragma warning disable CA1031 // Whatever it was, documents are found by their words, and it is tried again.
        catch (Exception error)
#pragma warning restore CA1031
        {
            if (error is ProviderException or ApiException)
            {
                LogProviderFailed(error.Message, retry.TotalSeconds);
            }
            else
            {
                LogFault(retry.TotalSeconds, error);
            }

            await Task.Delay(retry, time, cancellationToken);
            return retry * 2 < RetryMax ? retry * 2 : RetryMax;
        }

        using var nap = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(_wake.WaitAsync(nap.Token), Task.Delay(NapMax, time, nap.Token));
        await nap.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
        return RetryMin;
    }

    private async Task MakeAllAsync(CancellationToken cancellationToken)
    {
        foreach (var privacyClass in Enum.GetValues<Privacy.PrivacyClass>()
            .Where(one => embedder.Permits(one, builtInOnly: false)))
        {
            var after = long.MinValue;
            while (Gather(privacyClass, ref after) is { Count: > 0 } batch)
            {
                if (embedder.Scale is null)
                {
                    await embedder.LearnScaleAsync(database, cancellationToken);
                }

                await MakeAsync(batch, cancellationToken);
            }
        }
    }

    /// <summary>The next chunks; none when there are no more documents after a number.</summary>
    private List<Work> Gather(Privacy.PrivacyClass privacyClass, ref long after)
    {
        var next = after;
        var batch = database.Read(session =>
        {
            List<UnembeddedDocument> page;
            while ((page = VectorStore.Waiting(session, privacyClass, next, BatchMax)).Count > 0)
            {
                var work = new List<Work>();
                var room = BatchMax;
                foreach (var document in page)
                {
                    if (room == 0 || (work.Count > 0 && document.Tenant.AccountId != work[0].Document.Tenant.AccountId))
                    {
                        return work;
                    }

                    if (!IsPutOff(document) && Read(session, document, room) is { } chunks)
                    {
                        work.Add(new Work(document, chunks));
                        room -= chunks.Count;
                    }
                    else if (work.Count == 0)
                    {
                        next = document.Number; // Nothing can be done for it now.
                    }
                }

                if (work.Count > 0)
                {
                    return work;
                }
            }

            return [];
        });
        after = next;
        return batch;
    }

    /// <summary>Null when the document cannot be read.</summary>
    private List<Chunk>? Read(DbSession session, UnembeddedDocument document, int most)
    {
        try
        {
            return DocumentStore.ChunksWithoutVector(session, document.Tenant, document.Id, document.Number, most);
        }
        catch (Exception error) when (error is not Microsoft.Data.Sqlite.SqliteException)
        {
            LogDamaged(document.Id, error); // A damaged row may be anything.
            PutOff(document);
            return null;
        }
    }

    private async Task MakeAsync(List<Work> batch, CancellationToken cancellationToken)
    {
        try
        {
            var texts = batch.SelectMany(static work => work.Chunks).Select(TextOf).ToList();
            var made = texts.Count == 0 ? [] : await embedder.MakeAsync(
                texts, isQuestion: false, batch[0].Document.PrivacyClass, builtInOnly: false, cancellationToken);
            await WriteAsync(batch, made);
            _refusedInARow = 0;
        }
        catch (ProviderException error) when (error.Fault == ProviderFault.BadRequest)
        {
            if (batch.Count > 1)
            {
                foreach (var work in batch)
                {
                    await MakeAsync([work], cancellationToken);
                }

                return;
            }

            PutOff(batch[0].Document);
            LogRefused(batch[0].Document.Id, error.Message);
            if (++_refusedInARow >= RefusedInARowMax)
            {
                _putOff.Clear(); // It is not they.
                throw;
            }
        }
    }

    private Task WriteAsync(List<Work> batch, IReadOnlyList<float[]> made) => database.WriteAsync(session =>
    {
        var next = 0;
        foreach (var (document, chunks) in batch)
        {
            _ = VectorStore.Put(session, document, chunks.Select((chunk, at) => (chunk, made[next + at])));
            next += chunks.Count;
        }
    });

    /// <summary>What a chunk means depends on what it stands under.</summary>
    private static string TextOf(Chunk chunk) => chunk.Headings.Count == 0
        ? chunk.Text : $"{string.Join("\n", chunk.Headings)}\n{chunk.Text}";

    private bool IsPutOff(UnembeddedDocument document) =>
        _putOff.TryGetValue(document.Number, out var until) && time.GetUtcNow() < until;

    private void PutOff(UnembeddedDocument document)
    {
        if (_putOff.Count >= PutOffMax)
        {
            _putOff.Clear();
        }

        _putOff[document.Number] = time.GetUtcNow() + PutOffFor;
    }

    private sealed record Work(UnembeddedDocument Document, List<Chunk> Chunks);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "No vectors were made, and documents are found by their words; next try in {Seconds} s: {Reason}")]
    private partial void LogProviderFailed(string reason, double seconds);

    [LoggerMessage(Level = LogLevel.Error, Message = "Making vectors failed; next try in {Seconds} s.")]
    private partial void LogFault(double seconds, Exception error);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The document {DocumentId} gets no vectors for an hour, since its text is refused: {Reason}")]
    private partial void LogRefused(string documentId, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The document {DocumentId} cannot be read and gets no vectors.")]
    private partial void LogDamaged(string documentId, Exception error);
}
