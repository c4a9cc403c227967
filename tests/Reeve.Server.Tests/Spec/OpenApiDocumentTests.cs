using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Reeve.Server.Http;

namespace Reeve.Server.Tests.Spec;

public sealed class OpenApiDocumentTests
{
    private static readonly string[] ReadsNothing = ["retryDocument"];

    [Fact]
    public async Task Document_OfTheServer_IsTheCommittedOne()
    {
        await using var server = await TestServer.StartAsync();
        using var nobody = server.ClientFor(null);

        var answer = await nobody.GetAsync("/openapi.json");

        Assert.Equal((200, "application/json; charset=utf-8"), (answer.Status, answer.Header("Content-Type")));
        SpecFiles.Check(Path.Combine(SpecFiles.Root, "openapi.json"), answer.Text);
    }

    [Fact]
    public async Task Endpoint_Each_SaysWhatItAnswersAndReads()
    {
        await using var server = await TestServer.StartAsync();
        var wrong = server.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(static endpoint => endpoint.Metadata.GetMetadata<IExcludeFromDescriptionMetadata>() is null)
            .Where(static endpoint => endpoint.Metadata.GetMetadata<OpenApiAnswer>() is null
                || endpoint.Metadata.GetMetadata<ITagsMetadata>() is null
                || (endpoint.Metadata.GetMetadata<OpenApiBody>() is null && !ReadsNothing.Contains(
                    endpoint.Metadata.GetMetadata<IEndpointNameMetadata>()?.EndpointName)
                    && endpoint.Metadata.GetRequiredMetadata<IHttpMethodMetadata>().HttpMethods
                        .Any(static method => method is "POST" or "PUT" or "PATCH")))
            .Select(static endpoint => endpoint.RoutePattern.RawText).ToList();

        Assert.True(wrong.Count == 0, string.Join(Environment.NewLine, wrong));
    }

    [Fact]
    public async Task Schemas_Each_AreUsedAndKnown()
    {
        await using var server = await TestServer.StartAsync();
        var document = JsonNode.Parse(Encoding.UTF8.GetString(server.Service<OpenApiDocument>().Bytes.Span));
        var named = SpecSchemas.Load(server.Service<OpenApiDocument>().Bytes).Named.Select(static one => one.Key);

        Assert.Equal(named.Order(StringComparer.Ordinal),
            SpecSchemas.References(document).Order(StringComparer.Ordinal));
    }
}
