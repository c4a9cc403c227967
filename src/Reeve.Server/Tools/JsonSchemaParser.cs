using System.Text;
using System.Text.Json;

namespace Reeve.Server.Tools;

/// <summary>
/// Reads a schema in three steps: every part that stands in the tree, then the references (which may name further
/// parts), then a search for references that lead back to themselves without going down into the value.
/// </summary>
internal sealed partial class JsonSchemaParser(JsonElement root)
{
    private const int DepthMax = 64;
    private const int InPlaceMax = 64;

    private static readonly string[] Refused =
    [
        "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$dynamicAnchor", "$recursiveRef",
        "$recursiveAnchor", "$vocabulary", "dependencies", "additionalItems",
    ];

    private readonly Dictionary<string, JsonSchemaNode> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, JsonSchemaNode> _anchors = new(StringComparer.Ordinal);
    private readonly Queue<(JsonSchemaNode Node, string Reference)> _references = new();

    internal JsonSchemaNode Parse()
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw new JsonSchemaException("The schema must be a JSON object.");
        }

        if (Encoding.UTF8.GetByteCount(root.GetRawText()) > JsonSchema.BytesMax)
        {
            throw new JsonSchemaException($"The schema is larger than {JsonSchema.BytesMax / 1024} KiB.");
        }

        var node = Read(root, "#", 0);
        while (_references.TryDequeue(out var pending))
        {
            pending.Node.Reference = Resolve(pending.Reference, $"{pending.Node.Pointer}/$ref");
        }

        var heights = new Dictionary<JsonSchemaNode, int>();
        foreach (var part in _nodes.Values)
        {
            _ = Height(part, heights, 0);
        }

        return node;
    }

    /// <summary>How many schemas stand in a row over the same value; a row without an end is refused.</summary>
    private static int Height(JsonSchemaNode node, Dictionary<JsonSchemaNode, int> heights, int depth)
    {
        const int Open = -1;
        if (heights.TryGetValue(node, out var known))
        {
            return known == Open
                ? throw Wrong(node.Pointer, "refers to itself without going down into the value")
                : known;
        }

        if (depth > InPlaceMax)
        {
            throw Wrong(node.Pointer, $"is reached through more than {InPlaceMax} references or combinations");
        }

        heights[node] = Open;
        var height = 0;
        foreach (var next in node.InPlace())
        {
            height = Math.Max(height, 1 + Height(next, heights, depth + 1));
        }

        heights[node] = height;
        return height <= InPlaceMax
            ? height
            : throw Wrong(node.Pointer, $"leads through more than {InPlaceMax} references and combinations in a row");
    }

    private JsonSchemaNode Read(JsonElement schema, string pointer, int depth)
    {
        if (_nodes.TryGetValue(pointer, out var known))
        {
            return known;
        }

        if (depth > DepthMax)
        {
            throw Wrong(pointer, $"is nested more than {DepthMax} deep");
        }

        var node = new JsonSchemaNode(pointer);
        _nodes.Add(pointer, node);
        switch (schema.ValueKind)
        {
            case JsonValueKind.True or JsonValueKind.False:
                node.Constant = schema.GetBoolean();
                return node;
            case JsonValueKind.Object:
                foreach (var keyword in schema.EnumerateObject())
                {
                    ReadKeyword(node, keyword.Name, keyword.Value, Child(pointer, keyword.Name), depth + 1);
                }

                return node;
            default:
                throw Wrong(pointer, "must be a schema: an object, true or false");
        }
    }

    private void ReadKeyword(JsonSchemaNode node, string name, JsonElement value, string pointer, int depth)
    {
        if (Refused.Contains(name))
        {
            throw Wrong(pointer, "is a keyword that is not supported here");
        }

        // What is left after these are annotations: title, description, format, default, examples and unknown words.
        _ = ReadCore(node, name, value, pointer, depth)
            || ReadCombination(node, name, value, pointer, depth)
            || ReadObject(node, name, value, pointer, depth)
            || ReadArray(node, name, value, pointer, depth)
            || ReadScalar(node, name, value, pointer);
    }

    private bool ReadCore(JsonSchemaNode node, string name, JsonElement value, string pointer, int depth)
    {
        switch (name)
        {
            case "$schema":
                _ = Text(value, pointer);
                return true;
            case "$id" when node.Pointer != "#":
                throw Wrong(pointer, "can stand at the root alone");
            case "$ref":
                _references.Enqueue((node, Text(value, pointer)));
                return true;
            case "$anchor":
                return _anchors.TryAdd(Text(value, pointer), node) ? true
                    : throw Wrong(pointer, "names an anchor that another schema has too");
            case "$defs" or "definitions":
                _ = ReadMap(value, pointer, depth).ToList();
                return true;
            case "type":
                node.Types = ReadTypes(value, pointer);
                return true;
            case "enum":
                node.Enumeration = Array(value, pointer);
                return true;
            case "const":
                // Both together: the value must be in both, so const narrows what enum left.
                node.AllOf = [.. node.AllOf, new JsonSchemaNode(pointer) { Enumeration = [value] }];
                return true;
            default:
                return false;
        }
    }

    private bool ReadCombination(JsonSchemaNode node, string name, JsonElement value, string pointer, int depth)
    {
        switch (name)
        {
            case "allOf":
                node.AllOf = [.. node.AllOf, .. ReadList(value, pointer, depth)];
                return true;
            case "anyOf":
                node.AnyOf = ReadList(value, pointer, depth);
                return true;
            case "oneOf":
                node.OneOf = ReadList(value, pointer, depth);
                return true;
            case "not":
                node.Not = Read(value, pointer, depth);
                return true;
            case "if":
                node.If = Read(value, pointer, depth);
                return true;
            case "then":
                node.Then = Read(value, pointer, depth);
                return true;
            case "else":
                node.Else = Read(value, pointer, depth);
                return true;
            default:
                return false;
        }
    }

    private bool ReadObject(JsonSchemaNode node, string name, JsonElement value, string pointer, int depth)
    {
        switch (name)
        {
            case "properties":
                Fill(node.Properties, ReadMap(value, pointer, depth));
                return true;
            case "patternProperties":
                node.PatternProperties.AddRange(ReadMap(value, pointer, depth)
                    .Select(member => (Pattern(member.Key, Child(pointer, member.Key)), member.Value)));
                return true;
            case "additionalProperties":
                node.AdditionalProperties = Read(value, pointer, depth);
                return true;
            case "propertyNames":
                node.PropertyNames = Read(value, pointer, depth);
                return true;
            case "required":
                node.Required = Strings(value, pointer);
                return true;
            case "dependentRequired":
                Fill(node.DependentRequired, Members(value, pointer).Select(member =>
                    KeyValuePair.Create(member.Name, Strings(member.Value, Child(pointer, member.Name)))));
                return true;
            case "dependentSchemas":
                Fill(node.DependentSchemas, ReadMap(value, pointer, depth));
                return true;
            case "minProperties":
                node.MinProperties = Count(value, pointer);
                return true;
            case "maxProperties":
                node.MaxProperties = Count(value, pointer);
                return true;
            default:
                return false;
        }
    }

    private bool ReadArray(JsonSchemaNode node, string name, JsonElement value, string pointer, int depth)
    {
        switch (name)
        {
            case "prefixItems":
                node.PrefixItems = ReadList(value, pointer, depth);
                return true;
            case "items" when value.ValueKind == JsonValueKind.Array:
                throw Wrong(pointer, "must be one schema; a list of them is called prefixItems");
            case "items":
                node.Items = Read(value, pointer, depth);
                return true;
            case "contains":
                node.Contains = Read(value, pointer, depth);
                return true;
            case "minContains":
                node.MinContains = Count(value, pointer);
                return true;
            case "maxContains":
                node.MaxContains = Count(value, pointer);
                return true;
            case "minItems":
                node.MinItems = Count(value, pointer);
                return true;
            case "maxItems":
                node.MaxItems = Count(value, pointer);
                return true;
            case "uniqueItems":
                node.UniqueItems = value.ValueKind is JsonValueKind.True or JsonValueKind.False
                    ? value.GetBoolean() : throw Wrong(pointer, "must be true or false");
                return true;
            default:
                return false;
        }
    }

    private static bool ReadScalar(JsonSchemaNode node, string name, JsonElement value, string pointer)
    {
        switch (name)
        {
            case "minLength":
                node.MinLength = Count(value, pointer);
                return true;
            case "maxLength":
                node.MaxLength = Count(value, pointer);
                return true;
            case "pattern":
                node.Pattern = Pattern(Text(value, pointer), pointer);
                return true;
            case "minimum":
                node.Minimum = Number(value, pointer);
                return true;
            case "maximum":
                node.Maximum = Number(value, pointer);
                return true;
            case "exclusiveMinimum":
                node.ExclusiveMinimum = Number(value, pointer);
                return true;
            case "exclusiveMaximum":
                node.ExclusiveMaximum = Number(value, pointer);
                return true;
            case "multipleOf":
                node.MultipleOf = JsonNumber.Compare(Number(value, pointer), JsonElement.Parse("0")) > 0
                    ? value : throw Wrong(pointer, "must be greater than 0");
                return true;
            default:
                return false;
        }
    }
}
