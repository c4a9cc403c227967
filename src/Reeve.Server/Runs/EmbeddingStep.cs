using System.Security.Cryptography;
using Microsoft.Extensions.AI;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Runs;

/// <summary>Asks a provider for the vectors of an embedding run, and writes what came of it.</summary>
internal sealed partial class EmbeddingStep(
    RunEnding ending, ProviderHealth health, PersonalData personal, Failpoints failpoints,
    ILogger<EmbeddingStep> logger)
{
    private const int RetryAfterSeconds = 5;

    /// <summary>
    /// Makes the planned call; <paramref name="canGoOn"/> says whether a provider is left beside those given to it.
    /// </summary>
    internal async Task CallAsync(
        LiveRun run, EmbeddingRequest request, PlannedCall plan, Func<HashSet<RouteKey>, bool> canGoOn,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested(); // Nothing left yet, so nothing is owed.
        failpoints.Hit(Failpoints.LoopAsked);
        var route = plan.Route.Entry.Key;
        using var visit = health.Of(route.Provider).TryEnter();
        if (visit is null)
        {
            await FailAsync(run, request, route, canGoOn, new ProviderException(
                ProviderFault.Busy, $"{route.Provider} is asked by as many as it may be, or not at all."));
            return;
        }

        var sent = 0;
        GeneratedEmbeddings<Embedding<float>> made;
        try
        {
            made = await plan.Route.Generator.GenerateAsync(
                Leaving(request, plan, () => sent++),
                new EmbeddingGenerationOptions { Dimensions = request.Dimensions }, cancellationToken);
            RequireWhatWasAsked(request, route, made);
            visit.Succeed();
        }
        catch (ProviderException error)
        {
            visit.Fail(error.Fault);
            LogProviderFailed(error, run.RunId, route.Provider, error.Fault);
            await FailAsync(run, request, route, canGoOn, error);
            return;
        }
        catch (OperationCanceledException) when (run.IsCancelRequested || !run.IsStopped)
        {
            await ending.WriteAsync(run, [], Counted("cancelled", request.Texts.Take(sent)));
            throw;
        }

        failpoints.Hit(Failpoints.LoopAnswered);
        request.Vectors = [.. made.Select(static one => one.Vector)];
        var end = made.Usage?.InputTokenCount is { } tokens
            ? new CallEnd("completed", tokens, 0)
            : Counted("completed", request.Texts);
        await ending.WriteAsync(
            run, [], end with { VectorsSha256 = Hash(request.Vectors) }, new RunCompleted());
        failpoints.Hit(Failpoints.LoopCallEnded);
    }

    /// <summary>
    /// The texts as the provider gets them. Each is masked by itself, so that a text has the same vector whatever
    /// stands beside it. They are taken as they are sent, in batches, so that who counts them knows how far it came.
    /// </summary>
    private IEnumerable<string> Leaving(EmbeddingRequest request, PlannedCall plan, Action count)
    {
        var isMasked = PrivacyGate.MustMask(plan.PrivacyClass, plan.Route.Privacy);
        foreach (var text in request.Texts)
        {
            count();
            yield return isMasked ? new Masker(personal, []).Mask(text) : text;
        }
    }

    private static void RequireWhatWasAsked(
        EmbeddingRequest request, RouteKey route, GeneratedEmbeddings<Embedding<float>> made)
    {
        if (made.Count != request.Texts.Count
            || (request.Dimensions is { } length && made.Any(one => one.Vector.Length != length)))
        {
            throw new ProviderException(
                ProviderFault.Malformed, $"An answer of {route.Provider} has other vectors than were asked for.")
            {
                TextsAnswered = request.Texts.Count,
            };
        }
    }

    // Nothing of it reached the caller, so it costs him nothing; what the provider had answered is the operator's loss.
    private async Task FailAsync(
        LiveRun run, EmbeddingRequest request, RouteKey route, Func<HashSet<RouteKey>, bool> canGoOn,
        ProviderException error)
    {
        var end = error.TextsAnswered > 0
            ? Counted("failed", request.Texts.Take(error.TextsAnswered)) with { IsLost = true }
            : new CallEnd("failed", 0, 0);
        end = end with { Fault = error.Fault.ToString() };
        if (canGoOn([.. run.State.FailedRoutes, route]))
        {
            await ending.WriteAsync(run, [], end);
            return;
        }

        await ending.WriteAsync(run, [], end, new RunFailed(
            ApiErrorCodes.ProviderUnavailable.Code, "No permitted provider answered.")
        {
            RetryAfterSeconds = error.RetryAfterSeconds ?? RetryAfterSeconds,
            Cause = error.Fault.ToString(),
        });
    }

    private static CallEnd Counted(string outcome, IEnumerable<string> texts) =>
        new(outcome, texts.Sum(static text => (long)TokenCounter.Count(text)), 0) { IsEstimated = true };

    private static string Hash(IReadOnlyList<ReadOnlyMemory<float>> vectors)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var vector in vectors)
        {
            hash.AppendData(EmbeddingRequest.Bytes(vector));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{RunId}: {Provider} failed ({Fault}).")]
    private partial void LogProviderFailed(ProviderException error, string runId, string provider, ProviderFault fault);
}
