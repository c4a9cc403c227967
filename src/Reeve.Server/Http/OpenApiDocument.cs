using System.Buffers;
using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Reeve.Server.Http;

/// <summary>
/// The OpenAPI 3.1 document of the server, made from the endpoints' own declarations and the features' schemas, so that
/// it cannot tell of an endpoint that does not exist or leave one out.
/// </summary>
internal sealed class OpenApiDocument(EndpointDataSource endpoints, IEnumerable<OpenApiSchemas> schemas)
{
    private const string Bearer = "bearer";

    private readonly Lazy<ReadOnlyMemory<byte>> _bytes = new(() => Write(Build(endpoints, schemas)));

    internal ReadOnlyMemory<byte> Bytes => _bytes.Value;

    private static JsonObject Build(EndpointDataSource endpoints, IEnumerable<OpenApiSchemas> features)
    {
        var responses = new SortedDictionary<string, JsonObject>(StringComparer.Ordinal);
        var headers = new SortedDictionary<string, JsonObject>(StringComparer.Ordinal);
        var paths = new SortedDictionary<string, JsonObject>(StringComparer.Ordinal);
        var dialects = new HashSet<ErrorDialect>();
        foreach (var endpoint in endpoints.Endpoints.OfType<RouteEndpoint>()
            .Where(static endpoint => endpoint.Metadata.GetMetadata<IExcludeFromDescriptionMetadata>() is null)
            .OrderBy(static endpoint => endpoint.RoutePattern.RawText, StringComparer.Ordinal))
        {
            var path = '/' + endpoint.RoutePattern.RawText!.Trim('/').Replace("{**", "{", StringComparison.Ordinal);
            var item = paths.TryGetValue(path, out var known) ? known : paths[path] = [];
            foreach (var method in endpoint.Metadata.GetRequiredMetadata<IHttpMethodMetadata>().HttpMethods)
            {
                var operation = new OpenApiOperation(endpoint, method, headers);
                dialects.Add(operation.Dialect);
                item[method.ToLowerInvariant()] = operation.Build(responses);
            }
        }

        var named = new SortedDictionary<string, JsonObject>(StringComparer.Ordinal);
        var errors = dialects.Select(static dialect => (dialect.SchemaName, OpenApiErrorAnswers.Schema(dialect)));
        foreach (var (name, schema) in features.SelectMany(static feature => feature.Named).Concat(errors))
        {
            named.Add(name, schema.DeepClone().AsObject());
        }

        return new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = Info(),
            ["servers"] = new JsonArray(new JsonObject { ["url"] = "/" }),
            ["paths"] = Members(paths),
            ["components"] = new JsonObject
            {
                ["securitySchemes"] = new JsonObject
                {
                    [Bearer] = new JsonObject
                    {
                        ["type"] = "http",
                        ["scheme"] = Bearer,
                        ["description"] = "A key: mesh_live_…, mesh_test_…, afk_live_… or afk_widget_…",
                    },
                },
                ["headers"] = Members(headers),
                ["responses"] = Members(responses),
                ["schemas"] = Members(named),
            },
        };
    }

    private static JsonObject Info()
    {
        var version = Assembly.GetExecutingAssembly()
            .GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
        return new JsonObject
        {
            ["title"] = "Reeve",
            ["description"] = "Runs AI agents: the MESH API under /v1, the Auteryn API under /api.",
            ["version"] = version.Split('+')[0],
        };
    }

    private static JsonObject Members(SortedDictionary<string, JsonObject> members) =>
        new(members.Select(static one => KeyValuePair.Create(one.Key, (JsonNode?)one.Value)));

    private static ReadOnlyMemory<byte> Write(JsonObject document)
    {
        var buffer = new ArrayBufferWriter<byte>(128 * 1024);
        var options = new JsonWriterOptions
        {
            Indented = true,
            IndentSize = 1,
            NewLine = "\n",
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        };
        using (var writer = new Utf8JsonWriter(buffer, options))
        {
            document.WriteTo(writer);
        }

        buffer.Write("\n"u8);
        return buffer.WrittenMemory;
    }
}

internal static class OpenApiEndpoints
{
    internal static void AddOpenApiDocument(this IServiceCollection services)
    {
        services.AddSingleton<OpenApiDocument>();
        services.AddSingleton(new OpenApiSchemas(("OpenApiDocument", Schema.Free())));
    }

    internal static void MapOpenApiDocument(this IEndpointRouteBuilder app) =>
        app.MapGet("/openapi.json", static (HttpContext context, OpenApiDocument document) =>
            ApiJson.WriteAsync(context, StatusCodes.Status200OK, document.Bytes)).Public().WithTags("Server")
            .WithName("getOpenApiDocument").WithSummary("Shows this document.")
            .Answers(StatusCodes.Status200OK, "OpenApiDocument", "An OpenAPI 3.1 document.");
}
