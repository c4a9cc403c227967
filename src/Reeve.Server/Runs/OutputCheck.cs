using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Tools;

namespace Reeve.Server.Runs;

/// <summary>Holds an answer against the caller's <c>output_schema</c>.</summary>
internal static class OutputCheck
{
    internal const string Again = "Answer again with nothing but JSON that fits the schema.";

    /// <summary>What to tell the model of an answer that does not fit; null when it fits.</summary>
    internal static string? Complain(JsonSchema schema, string output)
    {
        try
        {
            using var document = JsonDocument.Parse(output, new JsonDocumentOptions
            {
                AllowDuplicateProperties = false,
                MaxDepth = RequestBody.DepthMax,
            });
            var errors = schema.Validate(document.RootElement);
            var list = string.Join("; ", errors.Select(error => $"{error.Path} {error.Message}"));
            return errors.Count == 0 ? null : $"The answer does not fit the schema: {list}.{" " + Again}";
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException)
        {
            // Half a surrogate pair, as it is or as an escape, is one of the latter two.
            return "The answer is not JSON. " + Again;
        }
    }
}
