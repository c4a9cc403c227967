using System.Globalization;
using System.Text.Json;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

internal sealed record ApiParameter(string In, string Name, bool IsRequired, JsonElement Schema);

/// <summary>One method of one path, as the committed document describes it.</summary>
internal sealed record ApiOperation(string Id, string Method, string Path)
{
    internal required IReadOnlyList<ApiParameter> Parameters { get; init; }

    /// <summary>Of a JSON body; null where none is read.</summary>
    internal required JsonElement? BodySchema { get; init; }

    internal required bool BodyIsRequired { get; init; }

    /// <summary>Of a form; null where none is read.</summary>
    internal required JsonElement? FormSchema { get; init; }

    /// <summary>The described answers by status.</summary>
    internal required IReadOnlyDictionary<int, JsonElement> Answers { get; init; }

    /// <summary>Null: public; empty: any key; else a key with one of these.</summary>
    internal required IReadOnlyList<string>? Scopes { get; init; }

    internal bool IsPublic => Scopes is null;

    internal bool IsAuteryn => Path.StartsWith("/api/", StringComparison.Ordinal);

    internal string Name => $"{Method} {Path}";

    internal IEnumerable<ApiParameter> In(string place) => Parameters.Where(one => one.In == place);
}

/// <summary>The OpenAPI document of the checkout.</summary>
internal sealed class ApiSpec
{
    private readonly JsonElement _root;

    private ApiSpec(JsonElement root)
    {
        _root = root;
        Operations = [.. root.GetProperty("paths").EnumerateObject().SelectMany(path =>
            path.Value.EnumerateObject().Select(method => Read(path.Name, method.Name, method.Value)))];
    }

    internal IReadOnlyList<ApiOperation> Operations { get; }

    internal static ApiSpec Load()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Reeve.slnx")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The document lies in the repository alone.");
        }

        return new ApiSpec(JsonElement.Parse(File.ReadAllBytes(Path.Combine(folder.FullName, "spec/openapi.json"))));
    }

    /// <summary>Of a body that has several forms the first.</summary>
    internal JsonElement FirstForm(JsonElement schema) =>
        Resolve(schema) is var resolved && resolved.TryGetProperty("anyOf", out var forms)
            ? Resolve(forms[0]) : resolved;

    /// <summary>What a <c>$ref</c> names; anything else is what it is.</summary>
    internal JsonElement Resolve(JsonElement node)
    {
        while (node.ValueKind == JsonValueKind.Object && node.TryGetProperty("$ref", out var reference))
        {
            var found = _root;
            foreach (var part in reference.GetString()![2..].Split('/'))
            {
                found = found.GetProperty(part);
            }

            node = found;
        }

        return node;
    }

    /// <summary>The methods that a path answers, under its own pattern and under one that fits it too.</summary>
    internal IEnumerable<string> MethodsAt(string path)
    {
        var parts = path.Split('/');
        return Operations.Where(one => one.Path.Split('/') is var others && others.Length == parts.Length
            && others.Zip(parts).All(static pair => pair.First == pair.Second || pair.First is ['{', ..]))
            .Select(static one => one.Method).Distinct();
    }

    internal ApiOperation Find(string id) => Operations.Single(one => one.Id == id);

    private ApiOperation Read(string path, string method, JsonElement operation)
    {
        var content = operation.TryGetProperty("requestBody", out var body) ? body.GetProperty("content") : default;
        return new ApiOperation(operation.GetProperty("operationId").GetString()!, method.ToUpperInvariant(), path)
        {
            Parameters = operation.TryGetProperty("parameters", out var parameters)
                ? [.. parameters.EnumerateArray().Select(ReadParameter)]
                : [],
            BodySchema = SchemaOf(content, "application/json"),
            BodyIsRequired = body.ValueKind == JsonValueKind.Object && body.GetProperty("required").GetBoolean(),
            FormSchema = SchemaOf(content, "multipart/form-data"),
            Answers = operation.GetProperty("responses").EnumerateObject().ToDictionary(
                static one => int.Parse(one.Name, CultureInfo.InvariantCulture), one => Resolve(one.Value)),
            Scopes = ReadScopes(operation.GetProperty("security")),
        };
    }

    private static JsonElement? SchemaOf(JsonElement content, string type) =>
        content.ValueKind == JsonValueKind.Object && content.TryGetProperty(type, out var one)
            ? one.GetProperty("schema")
            : null;

    private static ApiParameter ReadParameter(JsonElement one) => new(
        one.GetProperty("in").GetString()!, one.GetProperty("name").GetString()!,
        one.TryGetProperty("required", out var required) && required.GetBoolean(), one.GetProperty("schema"));

    private static IReadOnlyList<string>? ReadScopes(JsonElement security) => security.GetArrayLength() == 0
        ? null
        : [.. security.EnumerateArray().SelectMany(static one => one.GetProperty("bearer").EnumerateArray())
            .Select(static scope => scope.GetString()!)];
}
