using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Metadata;

namespace Reeve.Server.Http;

/// <summary>One endpoint under one method, as the document shows it.</summary>
internal sealed class OpenApiOperation(
    RouteEndpoint endpoint, string method, SortedDictionary<string, JsonObject> sharedHeaders)
{
    private static readonly OpenApiHeader[] LimitHeaders =
    [
        new("X-RateLimit-Limit", "Requests a minute, of the limit with the least left."),
        new("X-RateLimit-Remaining", "Requests left in this minute."),
        new("X-RateLimit-Reset", "Unix seconds at which the minute ends."),
    ];

    private static readonly OpenApiHeader RequestId =
        new("x-request-id", "Names the request, also in the server's log.");

    internal ErrorDialect Dialect { get; } = endpoint.Metadata.GetMetadata<ErrorDialect>() ?? ErrorDialect.Mesh;

    private AccessRule? Rule => endpoint.Metadata.GetMetadata<AccessRule>();

    internal JsonObject Build(SortedDictionary<string, JsonObject> shared)
    {
        var operation = new JsonObject
        {
            ["operationId"] = endpoint.Metadata.GetRequiredMetadata<IEndpointNameMetadata>().EndpointName,
            ["summary"] = endpoint.Metadata.GetRequiredMetadata<IEndpointSummaryMetadata>().Summary,
            ["tags"] = new JsonArray([.. (endpoint.Metadata.GetMetadata<ITagsMetadata>()?.Tags ?? [])
                .Select(static tag => (JsonNode)tag)]),
            ["security"] = Security(),
        };
        var parameters = Parameters();
        if (parameters.Count > 0)
        {
            operation["parameters"] = parameters;
        }

        var bodies = endpoint.Metadata.GetOrderedMetadata<OpenApiBody>();
        if (bodies.Count > 0)
        {
            operation["requestBody"] = new JsonObject
            {
                ["required"] = bodies.All(static body => body.Required),
                ["content"] = new JsonObject(bodies.Select(static body =>
                    KeyValuePair.Create(body.ContentType, (JsonNode?)Content(Schema.Ref(body.Schema))))),
            };
        }

        operation["responses"] = Responses(shared);
        return operation;
    }

    /// <summary>One requirement for each scope that will do.</summary>
    private JsonArray Security() => Rule switch
    {
        null or { IsPublic: true } => [],
        { Scopes: [] } => [new JsonObject { ["bearer"] = new JsonArray() }],
        { Scopes: var scopes } => [.. scopes.Select(static scope =>
            (JsonNode)new JsonObject { ["bearer"] = new JsonArray((JsonNode)scope) })],
    };

    private JsonArray Parameters()
    {
        var declared = endpoint.Metadata.GetOrderedMetadata<OpenApiParameter>().ToList();
        var inPath = endpoint.RoutePattern.Parameters.Select(part =>
            declared.FirstOrDefault(one => one.In == "path" && one.Name == part.Name)
            ?? new OpenApiParameter("path", part.Name, "An id.", true, static () => Schema.Text(1)));
        return [.. inPath.Concat(declared.Where(static one => one.In != "path")).Select(static one => new JsonObject
        {
            ["name"] = one.Name,
            ["in"] = one.In,
            ["required"] = one.Required,
            ["description"] = one.Description,
            ["schema"] = one.Schema(),
        })];
    }

    private JsonObject Responses(SortedDictionary<string, JsonObject> shared)
    {
        var own = endpoint.Metadata.GetOrderedMetadata<OpenApiHeaders>();
        var always = own.Where(static one => !one.OnErrorsOnly).SelectMany(static one => one.Headers).ToList();
        IReadOnlyList<OpenApiHeader> common = Rule is { IsPublic: true } ? [RequestId] : [RequestId, .. LimitHeaders];
        var responses = new JsonObject();
        foreach (var answers in endpoint.Metadata.GetOrderedMetadata<OpenApiAnswer>().GroupBy(static one => one.Status)
            .OrderBy(static group => group.Key))
        {
            var response = new JsonObject
            {
                ["description"] = string.Join(' ', answers.Select(static one => one.Description).Distinct()),
                ["headers"] = Headers([.. common, .. always, .. answers.SelectMany(static one => one.Headers)]),
            };
            foreach (var answer in answers.Where(static one => one.ContentType is not null))
            {
                var content = response["content"] ??= new JsonObject();
                content[answer.ContentType!] = Content(answer.Schema!(), answer.EventSchema);
            }

            responses[Text(answers.Key)] = response;
        }

        foreach (var error in OpenApiErrorAnswers.Of(endpoint, method, Dialect))
        {
            var words = error.Codes.Concat(own.Select(static one => one.Name));
            var name = $"{Dialect.SchemaName}{error.Status}-{string.Join('-', words)}";
            if (!shared.ContainsKey(name))
            {
                shared[name] = OpenApiErrorAnswers.Response(Dialect, error,
                    Headers([RequestId, .. own.SelectMany(static one => one.Headers), .. error.Headers()]));
            }

            responses[Text(error.Status)] = new JsonObject { ["$ref"] = $"#/components/responses/{name}" };
        }

        return responses;
    }

    private JsonObject Headers(IEnumerable<OpenApiHeader> headers)
    {
        var shown = new JsonObject();
        foreach (var header in headers.DistinctBy(static header => header.Name))
        {
            sharedHeaders[header.Name] = new JsonObject
            {
                ["description"] = header.Description,
                ["schema"] = Schema.Text(),
            };
            shown[header.Name] = new JsonObject { ["$ref"] = $"#/components/headers/{header.Name}" };
        }

        return shown;
    }

    // OpenAPI 3.1 has no word for the events of a stream.
    private static JsonObject Content(JsonObject schema, string? eventSchema = null)
    {
        var content = new JsonObject { ["schema"] = schema };
        if (eventSchema is not null)
        {
            content["x-event-schema"] = Schema.Ref(eventSchema);
        }

        return content;
    }

    private static string Text(int status) => status.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
