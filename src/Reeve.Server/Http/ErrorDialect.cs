namespace Reeve.Server.Http;

/// <summary>How a wire shows an error: its word, status and family, and members that it adds.</summary>
internal sealed record ShownError(string Code, int Status, string Type)
{
    internal required string Message { get; init; }

    internal required string? Param { get; init; }

    internal IReadOnlyList<KeyValuePair<string, string>> Members { get; init; } = [];
}

/// <summary>Endpoint metadata: the error words of its wire. Endpoints without it answer as wire-mesh 1.4.</summary>
internal sealed class ErrorDialect(Func<ApiException, ShownError> show)
{
    /// <summary>The name of the error body's schema in the OpenAPI document.</summary>
    internal string SchemaName { get; init; } = "Error";

    /// <summary>Members of the error body beyond those of every dialect, present where a run is involved.</summary>
    internal IReadOnlyList<string> RunMembers { get; init; } = ["run_id"];

    internal ShownError Show(ApiException error) => show(error);

    internal static readonly ErrorDialect Mesh = new(error => new ShownError(
        error.Code.Code, error.Code.Status, error.Code.Type)
    {
        Message = error.Message,
        Param = error.Param,
        Members = error.RunId is { } runId ? [new("run_id", runId)] : [],
    });
}
