using System.Numerics.Tensors;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval.Vectors;

/// <summary>
/// Search by meaning: turns a question into a vector, where that is configured and permitted, and finds the chunks that
/// are nearest. Where it cannot, words alone are searched; no search fails for it.
/// </summary>
internal sealed partial class VectorSearch(
    Database database, Embedder embedder, VectorIndexes indexes, ReadyDocuments ready, TimeProvider time,
    ILogger<VectorSearch> logger)
{
    /// <summary>How long a search waits for the vector of its question.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>
    /// The vector of a question, of length 1; null where there is none. It goes nowhere where one of the documents that
    /// it may be about must not go.
    /// </summary>
    internal async Task<float[]?> ReadAsync(
        TenantContext tenant, string agentId, Question question, CancellationToken cancellationToken)
    {
        if (!embedder.IsConfigured || embedder.Scale is null || ready.Find(tenant, agentId) is not
            { HasReady: true } documents)
        {
            return null;
        }

        var strictest = PrivacyClasses.Stricter(question.PrivacyClass, documents.Strictest);
        if (!embedder.Permits(strictest, question.BuiltInOnly)
            || !database.Read(session => SearchIndexStore.Find(session, tenant, agentId) is { VectorVersion: > 0 }))
        {
            return null;
        }

        using var patience = new CancellationTokenSource(Patience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            var made = await embedder.MakeAsync(
                [question.Text], isQuestion: true, strictest, question.BuiltInOnly, both.Token);
            return made[0];
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested
            && !cancellationToken.IsCancellationRequested)
        {
            LogSlow(Patience.TotalSeconds);
        }
        catch (ProviderException error)
        {
            LogProviderFailed(error.Message);
        }
        catch (ApiException error)
        {
            LogProviderFailed(error.Message);
        }

        return null;
    }

    /// <summary>The keys of the nearest chunks that fit, in no order; null when they cannot be read.</summary>
    internal List<long>? Nearest(DbSession session, TenantContext tenant, string agentId, SearchIndex index,
        float[] vector, int count, Predicate<long>? fits)
    {
        try
        {
            return indexes.Nearest(session, tenant, agentId, index, vector, count, fits);
        }
        catch (StorageException error) when (error.Fault == StorageFault.Damaged)
        {
            LogDamaged(agentId, error);
            return null;
        }
    }

    /// <summary>How near a chunk of the session's snapshot is, from 0 to 1; null when it has no vector.</summary>
    internal double? NearnessOf(
        DbSession session, TenantContext tenant, string agentId, long key, float[] vector)
    {
        try
        {
            var stored = VectorStore.At(session, tenant, key);
            return stored.Length == vector.Length
                ? embedder.Scale!.NearnessOf(TensorPrimitives.Dot(stored, vector))
                : null;
        }
        catch (StorageException error) when (error.Fault == StorageFault.Damaged)
        {
            LogDamaged(agentId, error);
            return null;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "A question had no vector after {Seconds} seconds; its words alone were searched.")]
    private partial void LogSlow(double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A question got no vector, so its words alone were searched: "
        + "{Reason}")]
    private partial void LogProviderFailed(string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The vectors of {AgentId} are damaged; words alone are searched.")]
    private partial void LogDamaged(string agentId, Exception error);
}
