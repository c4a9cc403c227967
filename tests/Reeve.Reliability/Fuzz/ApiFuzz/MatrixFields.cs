using System.Text.Json;
using System.Text.Json.Nodes;
using Reeve.Server;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>A place of a request that holds text; in a body its path, as in <c>tools[].name</c>.</summary>
internal sealed record MatrixField(ApiOperation Operation, string In, string Name)
{
    internal string Last => Name.Split('.')[^1];

    public override string ToString() => $"{Operation.Name} {In} {Name}";
}

/// <summary>What the fields of the document can name; one that stands in no list here has to be put into one.</summary>
internal static class MatrixFields
{
    private static readonly Dictionary<string, string> Kinds = new(StringComparer.Ordinal)
    {
        ["X-Agent-Id"] = Id.Agent,
        ["accountId"] = Id.Account,
        ["agent"] = Id.Agent,
        ["agent_id"] = Id.Agent,
        ["conversation_id"] = Id.Conversation,
        ["message_id"] = Id.Message,
        ["run_id"] = Id.Run,
        ["task_id"] = Id.Conversation,
    };

    /// <summary>
    /// Words of an account's own, and places in its own lists: what is another's there is nobody's, and no error.
    /// </summary>
    private static readonly HashSet<string> Own = new(StringComparer.Ordinal)
    {
        "Idempotency-Key", "after", "before", "slug", "user.id", "context.user_id", "user_id",
    };

    private static readonly HashSet<string> Nothing = new(StringComparer.Ordinal)
    {
        "If-Match", "allowed_origins[]", "context.user_name", "created_after", "created_before", "description",
        "expires_at", "from", "input", "input[]", "instructions", "model", "name", "note", "query", "text", "title",
        "to", "url",
        "tools[].actions[].description", "tools[].actions[].name", "tools[].name", "user.name",
        "context.metadata.*", "filter.*", "metadata.*", "output_schema.*", "tools[].actions[].parameters.*",
        "tools[].config.*", "user.metadata.*",
        ".*", "nonce", "privacy.encryptedPrompt",
        "messages[].tool_call_id", "messages[].tool_calls[].*", "models[]", "response_format.*", "stop", "stop[]",
        "tools[].*", "user",
    };

    /// <summary>Every field of an operation that can hold text, also inside of objects and lists.</summary>
    internal static List<MatrixField> Of(ApiSpec spec, ApiOperation operation)
    {
        var fields = operation.Parameters.Where(one => IsText(one.Schema) || one.In == "path")
            .Select(one => new MatrixField(operation, one.In, one.Name)).ToList();
        if (operation.BodySchema is { } body)
        {
            Walk(spec, body, "", name => fields.Add(new MatrixField(operation, "body", name)));
        }

        return fields;
    }

    /// <summary>The kind of thing that the field names and the caller must own; null: none.</summary>
    internal static string? KindOf(MatrixField field)
    {
        if (field.In == "path")
        {
            var kind = ApiRequests.KindOf(field.Operation.Path, field.Name)
                ?? throw new InvalidOperationException($"Say what {{{field.Name}}} of {field.Operation.Name} names.");
            return kind.Length == 0 ? null : kind;
        }

        return Kinds.TryGetValue(field.Name, out var known) ? known
            : Own.Contains(field.Name) || Nothing.Contains(field.Name) ? null
            : throw new InvalidOperationException($"Say what {field.In} {field.Name} of {field.Operation.Name} names.");
    }

    /// <summary>A body with this field in it and no more than it takes for the field to be looked at.</summary>
    internal static void Put(ApiSpec spec, JsonElement schema, JsonObject body, string name, string value)
    {
        schema = spec.Resolve(schema);
        var (first, rest) = name.Split('.', 2) is [var head, var tail] ? (head, tail) : (name, null);
        if (schema.TryGetProperty("anyOf", out var choices))
        {
            var wanted = first.EndsWith("[]", StringComparison.Ordinal) ? first[..^2] : first;
            schema = choices.EnumerateArray().Select(spec.Resolve).FirstOrDefault(
                one => one.TryGetProperty("properties", out var members) && members.TryGetProperty(wanted, out _),
                spec.Resolve(choices[0]));
        }

        if (first is "*" or "")
        {
            body["k"] = value;
            return;
        }

        var isList = first.EndsWith("[]", StringComparison.Ordinal);
        var member = schema.GetProperty("properties").GetProperty(isList ? first[..^2] : first);
        if (rest is null)
        {
            body[isList ? first[..^2] : first] = isList ? new JsonArray(value) : value;
            return;
        }

        var inner = new JsonObject();
        var item = spec.Resolve(isList ? member.GetProperty("items") : member);
        if (item.TryGetProperty("required", out var required))
        {
            foreach (var one in required.EnumerateArray().Select(static one => one.GetString()!))
            {
                inner[one] = one switch { "type" => "builtin", "role" => "user", _ => "time" };
            }
        }

        Put(spec, item, inner, rest, value);
        body[isList ? first[..^2] : first] = isList ? new JsonArray(inner) : inner;
    }

    private static bool IsText(JsonElement schema) =>
        SchemaCheck.Types(schema).Contains("string") && !schema.TryGetProperty("enum", out _);

    private static void Walk(ApiSpec spec, JsonElement schema, string path, Action<string> found)
    {
        schema = spec.Resolve(schema);
        if (schema.TryGetProperty("anyOf", out var choices))
        {
            foreach (var choice in choices.EnumerateArray())
            {
                Walk(spec, choice, path, found);
            }
        }
        else if (schema.TryGetProperty("properties", out var properties))
        {
            foreach (var member in properties.EnumerateObject())
            {
                Walk(spec, member.Value, path.Length == 0 ? member.Name : $"{path}.{member.Name}", found);
            }
        }
        else if (schema.TryGetProperty("items", out var items))
        {
            Walk(spec, items, path + "[]", found);
        }
        else if (SchemaCheck.Types(schema).Contains("object"))
        {
            found(path + ".*");
        }
        else if (IsText(schema))
        {
            found(path);
        }
    }
}
