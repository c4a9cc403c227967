using Reeve.Server.Accounts;
using Reeve.Server.Http;

namespace Reeve.Server.Monitoring;

/// <summary>A request as it is remembered: who, what and how it went, never what it said.</summary>
internal sealed record RequestRecord(
    string AccountId, string RequestId, string KeyId, string Method, string Path, int Status, string? Code,
    string? RunId, long LatencyMilliseconds, DateTimeOffset CreatedAt)
{
    /// <summary>The newest model of the run; known when the record is read.</summary>
    internal string? Model { get; init; }
}

/// <summary>Stands before everything and remembers each request that had a key.</summary>
internal sealed class RequestRecorder(RequestDelegate next, RequestLog log, TimeProvider time)
{
    private const int PathCharactersMax = 256;

    /// <summary>The caller left before the answer was whole.</summary>
    private const int ClientLeft = 499;

    public async Task InvokeAsync(HttpContext context)
    {
        if (!log.IsOn)
        {
            await next(context);
            return;
        }

        var (begun, at) = (time.GetTimestamp(), time.GetUtcNow());
        var facts = new RequestFacts();
        context.Features.Set(facts);
        try
        {
            await next(context);
        }
        finally
        {
            if (context.Features.Get<Caller>() is { } caller)
            {
                var path = ApiKeyText.Hide(context.Request.Path.Value ?? ""); // Somebody may put one there by mistake.
                log.Add(new RequestRecord(caller.Account.Id, context.TraceIdentifier, caller.Key.Id,
                    context.Request.Method, path.Length > PathCharactersMax ? path[..PathCharactersMax] : path,
                    context.RequestAborted.IsCancellationRequested ? ClientLeft : context.Response.StatusCode,
                    facts.ErrorCode, facts.RunId, (long)time.GetElapsedTime(begun).TotalMilliseconds, at));
            }
        }
    }
}
