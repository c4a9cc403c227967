using System.Text.Json;

namespace Reeve.Server.Tools;

[Flags]
internal enum JsonTypes
{
    None = 0,
    Null = 1,
    Boolean = 2,
    Object = 4,
    Array = 8,
    Number = 16,
    String = 32,
    Integer = 64,
}

/// <summary>A schema or a part of one, ready to check with. A keyword that is missing is null or empty.</summary>
internal sealed class JsonSchemaNode(string pointer)
{
    /// <summary>Where it stands in the whole, as in <c>#/properties/a</c>.</summary>
    internal string Pointer => pointer;

    /// <summary>Set for the schemas <c>true</c> and <c>false</c>.</summary>
    internal bool? Constant { get; set; }

    internal JsonSchemaNode? Reference { get; set; }

    internal JsonTypes Types { get; set; }

    internal IReadOnlyList<JsonElement>? Enumeration { get; set; }

    internal IReadOnlyList<JsonSchemaNode> AllOf { get; set; } = [];

    internal IReadOnlyList<JsonSchemaNode> AnyOf { get; set; } = [];

    internal IReadOnlyList<JsonSchemaNode> OneOf { get; set; } = [];

    internal JsonSchemaNode? Not { get; set; }

    internal JsonSchemaNode? If { get; set; }

    internal JsonSchemaNode? Then { get; set; }

    internal JsonSchemaNode? Else { get; set; }

    internal Dictionary<string, JsonSchemaNode> Properties { get; } = new(StringComparer.Ordinal);

    internal List<(JsonSchemaPattern Pattern, JsonSchemaNode Schema)> PatternProperties { get; } = [];

    internal JsonSchemaNode? AdditionalProperties { get; set; }

    internal JsonSchemaNode? PropertyNames { get; set; }

    internal IReadOnlyList<string> Required { get; set; } = [];

    internal Dictionary<string, IReadOnlyList<string>> DependentRequired { get; } = new(StringComparer.Ordinal);

    internal Dictionary<string, JsonSchemaNode> DependentSchemas { get; } = new(StringComparer.Ordinal);

    internal long? MinProperties { get; set; }

    internal long? MaxProperties { get; set; }

    internal IReadOnlyList<JsonSchemaNode> PrefixItems { get; set; } = [];

    internal JsonSchemaNode? Items { get; set; }

    internal JsonSchemaNode? Contains { get; set; }

    internal long? MinContains { get; set; }

    internal long? MaxContains { get; set; }

    internal long? MinItems { get; set; }

    internal long? MaxItems { get; set; }

    internal bool UniqueItems { get; set; }

    internal long? MinLength { get; set; }

    internal long? MaxLength { get; set; }

    internal JsonSchemaPattern? Pattern { get; set; }

    internal JsonElement? Minimum { get; set; }

    internal JsonElement? Maximum { get; set; }

    internal JsonElement? ExclusiveMinimum { get; set; }

    internal JsonElement? ExclusiveMaximum { get; set; }

    internal JsonElement? MultipleOf { get; set; }

    /// <summary>The schemas that look at the same value as this one.</summary>
    internal IEnumerable<JsonSchemaNode> InPlace()
    {
        JsonSchemaNode?[] single = [Reference, Not, If, Then, Else];
        return [.. AllOf, .. AnyOf, .. OneOf, .. DependentSchemas.Values, .. single.OfType<JsonSchemaNode>()];
    }
}
