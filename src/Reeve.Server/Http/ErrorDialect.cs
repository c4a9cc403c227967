namespace Reeve.Server.Http;

/// <summary>How a wire shows an error: its word, status and family, and members that it adds.</summary>
internal sealed record ShownError(string Code, int Status, string Type)
{
    internal IReadOnlyList<KeyValuePair<string, string>> Members { get; init; } = [];
}

/// <summary>Endpoint metadata: the error words of its wire. Endpoints without it answer as wire-mesh 1.4.</summary>
internal sealed class ErrorDialect(Func<ApiException, ShownError> show)
{
    internal ShownError Show(ApiException error) => show(error);

    internal static readonly ErrorDialect Mesh = new(error => new ShownError(
        error.Code.Code, error.Code.Status, error.Code.Type)
    {
        Members = error.RunId is { } runId ? [new("run_id", runId)] : [],
    });
}
