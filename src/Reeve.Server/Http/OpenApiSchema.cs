using System.Text.Json.Nodes;

namespace Reeve.Server.Http;

/// <summary>The named schemas of a feature; the document puts those of all features together.</summary>
internal sealed record OpenApiSchemas(params (string Name, JsonObject Schema)[] Named);

/// <summary>
/// Builds JSON Schemas (2020-12) of what the endpoints read and write. Each call makes a new node, for a node has one
/// place in a document.
/// </summary>
internal static class Schema
{
    private const string IdBody = "_[0-9A-HJKMNP-TV-Z]{26}$";

    internal static JsonObject Text(int min = 0, int? max = null, string? pattern = null)
    {
        var schema = new JsonObject { ["type"] = "string" };
        if (min > 0)
        {
            schema["minLength"] = min;
        }

        if (max is { } most)
        {
            schema["maxLength"] = most;
        }

        if (pattern is not null)
        {
            schema["pattern"] = pattern;
        }

        return schema;
    }

    internal static JsonObject Word(params ReadOnlySpan<string> words)
    {
        var all = new JsonArray();
        foreach (var word in words)
        {
            all.Add((JsonNode)word);
        }

        return new JsonObject { ["type"] = "string", ["enum"] = all };
    }

    internal static JsonObject Const(string word) => new() { ["type"] = "string", ["const"] = word };

    internal static JsonObject Id(string prefix) => Text(pattern: $"^{prefix}{IdBody}");

    /// <summary>RFC 3339, UTC, milliseconds.</summary>
    internal static JsonObject Time() => new()
    {
        ["type"] = "string",
        ["format"] = "date-time",
        ["pattern"] = @"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
    };

    internal static JsonObject Integer(long? min = 0, long? max = null)
    {
        var schema = new JsonObject { ["type"] = "integer" };
        if (min is { } least)
        {
            schema["minimum"] = least;
        }

        if (max is { } most)
        {
            schema["maximum"] = most;
        }

        return schema;
    }

    internal static JsonObject Number(decimal? min = null, decimal? max = null)
    {
        var schema = new JsonObject { ["type"] = "number" };
        if (min is { } least)
        {
            schema["minimum"] = least;
        }

        if (max is { } most)
        {
            schema["maximum"] = most;
        }

        return schema;
    }

    internal static JsonObject Flag() => new() { ["type"] = "boolean" };

    /// <summary>An object with members of the caller's own.</summary>
    internal static JsonObject Free() => new() { ["type"] = "object" };

    /// <summary>Metadata as a request may bring it (wire-mesh 2.1).</summary>
    internal static JsonObject Metadata() => new()
    {
        ["type"] = "object",
        ["maxProperties"] = 64,
        ["propertyNames"] = new JsonObject { ["minLength"] = 1, ["maxLength"] = 64 },
        ["description"] = "Any members; at most 64 keys of 1 to 64 characters, 16 KiB of JSON in all.",
    };

    /// <summary>Any JSON value.</summary>
    internal static JsonObject Any() => [];

    internal static JsonObject Ref(string name) => new() { ["$ref"] = $"#/components/schemas/{name}" };

    internal static JsonObject List(JsonObject items, int min = 0, int? max = null)
    {
        var schema = new JsonObject { ["type"] = "array", ["items"] = items };
        if (min > 0)
        {
            schema["minItems"] = min;
        }

        if (max is { } most)
        {
            schema["maxItems"] = most;
        }

        return schema;
    }

    /// <summary>An object of an answer: every member is always there.</summary>
    internal static JsonObject Record(params ReadOnlySpan<(string Name, JsonObject Schema)> members)
    {
        var (properties, required) = (new JsonObject(), new JsonArray());
        foreach (var (name, schema) in members)
        {
            properties[name] = schema;
            required.Add((JsonNode)name);
        }

        return new JsonObject { ["type"] = "object", ["properties"] = properties, ["required"] = required };
    }

    /// <summary>Adds a member that is not always there.</summary>
    internal static JsonObject Maybe(this JsonObject record, string name, JsonObject schema)
    {
        record["properties"]!.AsObject()[name] = schema;
        return record;
    }

    /// <summary>
    /// An object of a request: unknown members are refused, and null stands for a member that is left out.
    /// </summary>
    internal static JsonObject Body(
        string[] required, params ReadOnlySpan<(string Name, JsonObject Schema)> members)
    {
        var properties = new JsonObject();
        foreach (var (name, schema) in members)
        {
            properties[name] = required.Contains(name) ? schema : schema.OrNull();
        }

        return new JsonObject
        {
            ["type"] = "object",
            ["properties"] = properties,
            ["required"] = new JsonArray([.. required.Select(static name => (JsonNode)name)]),
            ["additionalProperties"] = false,
        };
    }

    /// <summary>
    /// A change: what is left out stays, and null resets a member, but for these, which have nothing to go back to.
    /// </summary>
    internal static JsonObject Change(
        string[] neverNull, params ReadOnlySpan<(string Name, JsonObject Schema)> members)
    {
        var body = Body(neverNull, members);
        body["required"] = new JsonArray();
        return body;
    }

    /// <summary>A page of a list (wire-mesh 1.7).</summary>
    internal static JsonObject Page(string item) => Record(
        ("data", List(Ref(item))), ("has_more", Flag()),
        ("next_cursor", Text().OrNull().About("Give it as after to get the next page; null on the last one.")));

    internal static JsonObject OneOf(params ReadOnlySpan<JsonObject> schemas) =>
        new() { ["oneOf"] = new JsonArray([.. schemas]) };

    /// <summary>As <see cref="OneOf"/>, for forms that tools tell apart by their types.</summary>
    internal static JsonObject AnyOf(params ReadOnlySpan<JsonObject> schemas) =>
        new() { ["anyOf"] = new JsonArray([.. schemas]) };

    internal static JsonObject OrNull(this JsonObject schema)
    {
        if (schema["type"] is not { } type)
        {
            return schema.Count == 0 // Any value is null too.
                ? schema
                : new JsonObject { ["anyOf"] = new JsonArray(schema, new JsonObject { ["type"] = "null" }) };
        }

        if (type is JsonValue)
        {
            schema["type"] = new JsonArray((JsonNode)type.GetValue<string>(), (JsonNode)"null");
            (schema["enum"] as JsonArray)?.Add(null);
        }

        return schema;
    }

    internal static JsonObject About(this JsonObject schema, string description)
    {
        schema["description"] = description;
        return schema;
    }
}
