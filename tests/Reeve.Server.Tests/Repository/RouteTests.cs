using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Reeve.Server.Accounts;
using Reeve.Server.Http;

namespace Reeve.Server.Tests.Repository;

public sealed class RouteTests
{
    /// <summary>All that answers without a key (wire-mesh 1.3); another public route has to be added here.</summary>
    private static readonly string[] Public =
    [
        "/health/live", "/health/ready", "/version", "/metrics", "/openapi.json", "/.well-known/reeve-keys.json",
    ];

    [Fact]
    public async Task Route_Each_HasARuleANameAndASummary()
    {
        await using var server = await TestServer.StartAsync();
        var wrong = new List<string>();
        foreach (var route in server.Service<EndpointDataSource>().Endpoints.Cast<RouteEndpoint>())
        {
            var pattern = route.RoutePattern.RawText!;
            switch (route.Metadata.GetMetadata<AccessRule>())
            {
                case null:
                    wrong.Add($"{pattern} has no rule of access");
                    break;
                case { IsPublic: true } when !Public.Contains(pattern)
                    && route.Metadata.GetMetadata<MethodRefusal>() is null:
                    wrong.Add($"{pattern} is public");
                    break;
                case { Scopes: var scopes } when scopes.Except(ApiKeyScopes.All).Any():
                    wrong.Add($"{pattern} wants a scope that does not exist");
                    break;
            }

            if (route.Metadata.GetMetadata<IEndpointNameMetadata>() is null
                || route.Metadata.GetMetadata<IEndpointSummaryMetadata>() is null)
            {
                wrong.Add($"{pattern} has no name or no summary");
            }

            if (route.Metadata.GetMetadata<IHttpMethodMetadata>() is null)
            {
                wrong.Add($"{pattern} answers every method");
            }
        }

        Assert.True(wrong.Count == 0, string.Join(Environment.NewLine, wrong));
    }

    [Fact]
    public async Task Route_EachThatIsNotPublic_Refuses401WithoutAKey()
    {
        await using var server = await TestServer.StartAsync();
        using var nobody = server.ClientFor(null);
        foreach (var route in server.Service<EndpointDataSource>().Endpoints.Cast<RouteEndpoint>()
            .Where(static route => !route.Metadata.GetRequiredMetadata<AccessRule>().IsPublic))
        {
            var path = string.Join('/', route.RoutePattern.PathSegments.Select(static segment =>
                string.Concat(segment.Parts.Select(static part => (part as RoutePatternLiteralPart)?.Content ?? "x"))));
            foreach (var method in route.Metadata.GetRequiredMetadata<IHttpMethodMetadata>().HttpMethods)
            {
                var answer = await nobody.SendAsync(method, "/" + path, null);
                Assert.Equal((method, path, 401), (method, path, answer.Status));
            }
        }
    }
}
