using System.Text.Json;

namespace Reeve.Server.Tools;

/// <summary>One way in which a value does not fit: where (a JSON pointer, empty for the whole) and why.</summary>
internal sealed record JsonSchemaError(string Path, string Message);

/// <summary>A schema that cannot be used. The message is one sentence for its author and names the place.</summary>
internal sealed class JsonSchemaException(string message) : Exception(message);

/// <summary>
/// A JSON Schema (2020-12) that was read once and checks many values: every keyword but <c>unevaluated*</c>, dynamic
/// references and references to other documents, which are refused rather than ignored. <c>format</c> is an annotation.
/// </summary>
/// <remarks>
/// Schema and value may both come from someone who wants to hurt: the size of the schema, the depth of a check and its
/// work are bounded, and a value that cannot be checked within the bounds does not fit.
/// </remarks>
internal sealed class JsonSchema
{
    internal const int BytesMax = 32 * 1024;

    private readonly JsonSchemaNode _root;

    private JsonSchema(JsonSchemaNode root) => _root = root;

    /// <summary>Reads a schema; the element need not outlive the call.</summary>
    /// <exception cref="JsonSchemaException">It is no schema, or one that is not supported.</exception>
    internal static JsonSchema Parse(JsonElement schema) => new(new JsonSchemaParser(schema.Clone()).Parse());

    /// <summary>The first errors of a value; empty when it fits.</summary>
    internal IReadOnlyList<JsonSchemaError> Validate(JsonElement value, int errorsMax = 10) =>
        new JsonSchemaCheck(errorsMax).Run(_root, value);
}
