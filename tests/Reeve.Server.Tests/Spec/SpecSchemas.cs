using System.Text.Json;
using System.Text.Json.Nodes;
using Reeve.Server.Tools;

namespace Reeve.Server.Tests.Spec;

/// <summary>
/// The OpenAPI document as a judge of what goes over the wire. Answers are judged more strictly than the document says:
/// a member that it does not name is an error, for clients cannot know of it.
/// </summary>
internal sealed class SpecSchemas(JsonObject document)
{
    private const string Components = "#/components/schemas/";

    private readonly Dictionary<string, JsonSchema> _schemas = new(StringComparer.Ordinal);

    internal static SpecSchemas Load(ReadOnlyMemory<byte> document) =>
        new(JsonNode.Parse(document.Span)!.AsObject());

    internal JsonObject Named => document["components"]!["schemas"]!.AsObject();

    /// <summary>What is wrong with a request that was answered, and with its answer.</summary>
    internal IEnumerable<string> Judge(TraceCall call, Placeholders placeholders, TraceAnswer answer)
    {
        if (Find(call.Method, placeholders.Fill(call.Path)) is not { } operation)
        {
            return answer.Status is 404 or 405
                ? Errors("the error", Components + "Error", answer.Text, isAnswer: true)
                : [$"{call.Method} {call.Path} is not in the document"];
        }

        var wrong = JudgeAnswer(operation, answer);
        if (answer.Status < 300 && call.Body is not null && operation["requestBody"] is { } body)
        {
            var name = Reference(body["content"]!["application/json"]!["schema"]!);
            wrong = wrong.Concat(Errors("the request", name, placeholders.Fill(call.Body), isAnswer: false));
        }

        return wrong;
    }

    /// <summary>The names that the schemas and operations refer to.</summary>
    internal static HashSet<string> References(JsonNode? node)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        Walk(node, one =>
        {
            if (one["$ref"]?.GetValue<string>() is { } reference
                && reference.StartsWith(Components, StringComparison.Ordinal))
            {
                found.Add(reference[Components.Length..]);
            }
        });
        return found;
    }

    private IEnumerable<string> JudgeAnswer(JsonObject operation, TraceAnswer answer)
    {
        var responses = operation["responses"]!.AsObject();
        if (responses[$"{answer.Status}"]?.AsObject() is not { } response)
        {
            return [$"{operation["operationId"]} does not say that it answers {answer.Status}"];
        }

        if (response["$ref"]?.GetValue<string>() is { } shared)
        {
            response = document["components"]!["responses"]![shared.Split('/')[^1]]!.AsObject();
        }

        var headers = response["headers"]!.AsObject();
        var wrong = answer.Headers.Select(static header => header.Name)
            .Where(static name => !name.StartsWith("content-", StringComparison.Ordinal))
            .Where(name => !Undescribed.Contains(name) && !headers.Any(one =>
                one.Key.Equals(name, StringComparison.OrdinalIgnoreCase)))
            .Select(name => $"{operation["operationId"]} does not describe the header {name} of {answer.Status}")
            .ToList();
        if (answer.MediaType is not { } type)
        {
            return wrong;
        }

        if (response["content"]?[type] is not { } content)
        {
            return [.. wrong, $"{operation["operationId"]} does not say that it answers {answer.Status} as {type}"];
        }

        return wrong.Concat(answer.IsStream ? JudgeStream(content, answer.Text)
            : answer.IsJson ? JudgeBody(operation, content["schema"]!, answer.Text) : []);
    }

    // Those of every stream and of every limited answer, which the document says once in its own words.
    private static readonly HashSet<string> Undescribed = new(
        ["Cache-Control", "X-Accel-Buffering", "RateLimit", "RateLimit-Policy", "Allow",
         "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"], StringComparer.OrdinalIgnoreCase);

    private IEnumerable<string> JudgeBody(JsonObject operation, JsonNode schema, string text)
    {
        if (schema["$ref"] is not null)
        {
            return Errors("the answer", Reference(schema), text, isAnswer: true);
        }

        var key = $"inline {operation["operationId"]}";
        if (!_schemas.TryGetValue(key, out var parsed))
        {
            _schemas[key] = parsed = Parse(schema.DeepClone().AsObject(), isAnswer: true);
        }

        return Errors("the answer", parsed, JsonElement.Parse(text));
    }

    private IEnumerable<string> JudgeStream(JsonNode content, string text)
    {
        var name = Reference(content["x-event-schema"]!);
        foreach (var frame in text.Replace(": ping\n\n", "", StringComparison.Ordinal)
            .Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var lines = frame.Split('\n').Select(static line => line.Split(": ", 2)).ToList();
            var shown = string.Join(',', lines.Select(static line => line[0] == "event"
                ? $"\"event\":\"{line[1]}\""
                : $"\"{line[0]}\":{line[1]}"));
            foreach (var error in Errors("an event", name, $"{{{shown}}}", isAnswer: true))
            {
                yield return $"{error} in {frame}";
            }
        }
    }

    private IEnumerable<string> Errors(string what, string reference, string text, bool isAnswer)
    {
        var key = $"{isAnswer} {reference}";
        if (!_schemas.TryGetValue(key, out var schema))
        {
            _schemas[key] = schema = Parse(new JsonObject { ["$ref"] = reference }, isAnswer);
        }

        return Errors(what, schema, JsonElement.Parse(text));
    }

    private static IEnumerable<string> Errors(string what, JsonSchema schema, JsonElement value) =>
        schema.Validate(value).Select(error => $"{what} does not fit its schema: {error.Path} {error.Message}");

    /// <summary>A schema with all that it refers to, so that it stands alone.</summary>
    private JsonSchema Parse(JsonObject schema, bool isAnswer)
    {
        var definitions = new JsonObject();
        var open = new Queue<string>(References(schema));
        while (open.TryDequeue(out var name))
        {
            if (definitions.ContainsKey(name))
            {
                continue;
            }

            definitions[name] = Named[name]!.DeepClone();
            foreach (var further in References(definitions[name]))
            {
                open.Enqueue(further);
            }
        }

        schema["$defs"] = definitions;
        if (isAnswer)
        {
            Walk(schema, static one =>
            {
                if (one["type"] is not null && one["properties"] is JsonObject && one["additionalProperties"] is null)
                {
                    one["additionalProperties"] = false;
                }
            });
        }

        return JsonSchema.Parse(JsonElement.Parse(
            schema.ToJsonString().Replace(Components, "#/$defs/", StringComparison.Ordinal)));
    }

    private static string Reference(JsonNode schema) => schema["$ref"]!.GetValue<string>();

    /// <summary>The operation of a path; a literal part counts more than a parameter.</summary>
    private JsonObject? Find(string method, string target)
    {
        var parts = target.Split('?')[0].Trim('/').Split('/');
        return document["paths"]!.AsObject()
            .Select(path => (Parts: path.Key.Trim('/').Split('/'), Item: path.Value!.AsObject()))
            .Where(path => path.Parts.Length == parts.Length
                && path.Parts.Zip(parts).All(static pair => pair.First[0] == '{' || pair.First == pair.Second))
            .OrderBy(static path => path.Parts.Count(static part => part[0] == '{'))
            .Select(path => path.Item[method.ToLowerInvariant()]?.AsObject()).FirstOrDefault();
    }

    private static void Walk(JsonNode? node, Action<JsonObject> visit)
    {
        if (node is JsonObject one)
        {
            visit(one);
            foreach (var (_, value) in one.ToList())
            {
                Walk(value, visit);
            }
        }
        else if (node is JsonArray many)
        {
            foreach (var value in many)
            {
                Walk(value, visit);
            }
        }
    }
}
