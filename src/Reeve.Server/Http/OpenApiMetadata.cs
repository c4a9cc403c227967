using System.Text.Json.Nodes;

namespace Reeve.Server.Http;

/// <summary>Endpoint metadata: a parameter in <c>query</c>, <c>header</c> or <c>path</c>.</summary>
internal sealed record OpenApiParameter(
    string In, string Name, string Description, bool Required, Func<JsonObject> Schema);

/// <summary>Endpoint metadata: a body, by the name of its schema; several differ in their content type.</summary>
internal sealed record OpenApiBody(string Schema, bool Required, string ContentType = ApiJson.MediaType);

/// <summary>Endpoint metadata: one answer; several of one status differ in their content type.</summary>
internal sealed record OpenApiAnswer(int Status, string Description)
{
    internal string? ContentType { get; init; }

    /// <summary>Made anew for each document.</summary>
    internal Func<JsonObject>? Schema { get; init; }

    /// <summary>For a stream: the schema of each event.</summary>
    internal string? EventSchema { get; init; }

    internal IReadOnlyList<OpenApiHeader> Headers { get; init; } = [];
}

/// <summary>A header of an answer.</summary>
internal sealed record OpenApiHeader(string Name, string Description);

/// <summary>
/// Endpoint metadata: headers of the endpoint's errors, or of all its answers; the name tells such errors from those
/// without.
/// </summary>
internal sealed record OpenApiHeaders(string Name, bool OnErrorsOnly, IReadOnlyList<OpenApiHeader> Headers);

/// <summary>Endpoint metadata: errors beyond those that every endpoint of its kind has.</summary>
internal sealed record OpenApiErrors(IReadOnlyList<ApiErrorCode> Codes, IReadOnlyList<string> Missing);

/// <summary>What an endpoint's declaration says for the OpenAPI document.</summary>
internal static class OpenApiMetadata
{
    internal static readonly OpenApiHeader Location = new("Location", "The path of what was made.");

    internal static TBuilder Query<TBuilder>(
        this TBuilder builder, string name, string description, Func<JsonObject> schema, bool required = false)
        where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new OpenApiParameter("query", name, description, required, schema));

    internal static TBuilder Header<TBuilder>(
        this TBuilder builder, string name, string description, Func<JsonObject> schema, bool required = false)
        where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new OpenApiParameter("header", name, description, required, schema));

    /// <summary>Says what a parameter of the path is; without this it is just a string.</summary>
    internal static TBuilder Path<TBuilder>(this TBuilder builder, string name, string description)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(
        new OpenApiParameter("path", name, description, true, static () => Schema.Text(1)));

    /// <summary>A list: takes <c>limit</c> and <c>after</c>, answers a page of this schema.</summary>
    internal static TBuilder Lists<TBuilder>(this TBuilder builder, string schema)
        where TBuilder : IEndpointConventionBuilder => builder
        .Query("limit", "How many at most.", static () =>
        {
            var limit = Schema.Integer(1, PageQuery.LimitMax);
            limit["default"] = PageQuery.LimitDefault;
            return limit;
        })
        .Query("after", "The next_cursor of the page before.", static () => Schema.Text(1))
        .WithMetadata(new OpenApiAnswer(StatusCodes.Status200OK, "A page.")
        {
            ContentType = ApiJson.MediaType,
            Schema = () => Schema.Page(schema),
        });

    internal static TBuilder Takes<TBuilder>(this TBuilder builder, string schema, bool required = true)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new OpenApiBody(schema, required));

    /// <summary>A form with a file, where the endpoint takes one instead of JSON.</summary>
    internal static TBuilder TakesForm<TBuilder>(this TBuilder builder, string schema)
        where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new OpenApiBody(schema, true, "multipart/form-data"));

    internal static TBuilder Answers<TBuilder>(
        this TBuilder builder, int status, string schema, string description, params OpenApiHeader[] headers)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new OpenApiAnswer(status, description)
        {
            ContentType = ApiJson.MediaType,
            Schema = () => Schema.Ref(schema),
            Headers = headers,
        });

    /// <summary>A stream of Server-Sent Events, each of which fits the schema.</summary>
    internal static TBuilder AnswersEvents<TBuilder>(
        this TBuilder builder, string eventSchema, params OpenApiHeader[] headers)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(
        new OpenApiAnswer(StatusCodes.Status200OK, "The events of the run, to its end.")
        {
            ContentType = "text/event-stream",
            Schema = static () => Schema.Text(),
            EventSchema = eventSchema,
            Headers = headers,
        });

    internal static TBuilder AnswersText<TBuilder>(this TBuilder builder, string contentType, string description)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(
        new OpenApiAnswer(StatusCodes.Status200OK, description)
        {
            ContentType = contentType,
            Schema = static () => Schema.Text(),
        });

    internal static TBuilder AnswersNothing<TBuilder>(this TBuilder builder, string description)
        where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new OpenApiAnswer(StatusCodes.Status204NoContent, description));

    /// <summary>Errors of this endpoint; those of every key, body and path are added by themselves.</summary>
    internal static TBuilder Refuses<TBuilder>(this TBuilder builder, params ApiErrorCode[] codes)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new OpenApiErrors(codes, []));

    /// <summary>What may be missing here, in the glossary's words: a dialect may have a code for each.</summary>
    internal static TBuilder Misses<TBuilder>(this TBuilder builder, params string[] things)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new OpenApiErrors([], things));
}
