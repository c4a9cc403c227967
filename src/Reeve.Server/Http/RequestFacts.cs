namespace Reeve.Server.Http;

/// <summary>What is noted about a request while it is answered, beyond what its answer shows.</summary>
internal sealed class RequestFacts
{
    /// <summary>The code of the error that was answered.</summary>
    internal string? ErrorCode { get; set; }

    /// <summary>The run that it started, or that its error names.</summary>
    internal string? RunId { get; set; }
}

internal static class FactsOfRequest
{
    internal static void NoteRun(this HttpContext context, string runId)
    {
        if (context.Features.Get<RequestFacts>() is { } facts)
        {
            facts.RunId = runId;
        }
    }

    internal static void NoteError(this HttpContext context, ApiException error)
    {
        if (context.Features.Get<RequestFacts>() is { } facts)
        {
            facts.ErrorCode = error.Code.Code;
            facts.RunId ??= error.RunId;
        }
    }
}
